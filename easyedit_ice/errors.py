"""Every error the package raises on purpose.

A message states the offending value, what was expected, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class EasyEditIceError(Exception):
    """Base of all errors raised by the package."""

    def __str__(self) -> str:
        return ", ".join(str(argument) for argument in self.args)


# --- what the user asks for ---------------------------------------------------------------------


class RequestError(EasyEditIceError, ValueError):
    """A fact that cannot be edited as it was given.

    Attributes:
        index: position of the fact in the batch, or ``None`` if the batch as a whole is at fault.
    """

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message if index is None else f"fact {index}: {message}")
        self.index = index


class EmptyTextError(RequestError):
    """A prompt, target or probe is empty, blank, not a string, or not Unicode text."""


class LengthMismatchError(RequestError):
    """Parallel lists of prompts, targets or probes differ in length."""


class SubjectNotFoundError(RequestError):
    """The subject is missing or does not occur in the prompt."""


class ProbeFormError(RequestError):
    """A locality or portability probe is not of EasyEdit's form."""


class DuplicateFactError(RequestError):
    """The same fact stands twice in one batch."""


class ContradictionError(RequestError):
    """Two facts of one batch give one prompt different targets."""


class EmptyTargetError(RequestError):
    """The target tokenises to nothing."""


class PromptTooLongError(RequestError):
    """Prompt and target do not fit into the model's context."""


class UnknownKeyError(RequestError):
    """A request has a key that no request has, such as a name that something has elsewhere."""


class UnknownTokenError(RequestError):
    """The tokenizer makes tokens of a fact that the model has no embedding for."""


class UnscorableProbeError(RequestError):
    """EasyEdit's evaluation fails on a probe of this form."""


class HyperParamsError(EasyEditIceError, ValueError):
    """Hyperparameters that do not load or do not fit together."""


class UnknownAlgorithmError(EasyEditIceError, KeyError):
    """An algorithm name that is not in the table."""


class BrokenAlgorithmError(UnknownAlgorithmError):
    """An algorithm of another package that cannot be loaded."""


class DuplicateAlgorithmError(EasyEditIceError, ValueError):
    """An algorithm name that is already taken."""


class DataError(EasyEditIceError, ValueError):
    """A benchmark file or record that cannot be read.

    Attributes:
        path: the file, if there is one.
        index: position of the record in the file, if one record is at fault.
    """

    def __init__(self, message: str, path: str | None = None, index: int | None = None) -> None:
        where = "".join([f"{path}: " if path else "", f"record {index}: " if index is not None else ""])
        super().__init__(where + message)
        self.path = path
        self.index = index


# --- the model ----------------------------------------------------------------------------------


class AnatomyError(EasyEditIceError, ValueError):
    """The model's structure does not offer what an algorithm needs."""


class UnsoundModelError(EasyEditIceError, RuntimeError):
    """What the model says before any edit is no number, or looks ahead in the text."""


class LoadingError(EasyEditIceError, RuntimeError):
    """A model or tokenizer cannot be loaded as asked."""


class ModelPackageError(LoadingError, ImportError):
    """The package that holds a model, or that reads its file, is not installed."""


class UpdateError(EasyEditIceError, RuntimeError):
    """A weight update cannot be committed, reverted, combined or exported."""


class ModelInUseError(EasyEditIceError, RuntimeError):
    """Two threads edit one model at a time."""


class OtherBaseError(UpdateError):
    """An edit was made on other weights than those it shall go into, or does not say on which."""


class TrainingDivergedError(EasyEditIceError, RuntimeError):
    """The loss of an edit, or what it trained, became infinite or not a number."""


class SaveError(EasyEditIceError, OSError):
    """A result cannot be written where it was to go; nothing is written."""


class DriftError(EasyEditIceError, RuntimeError):
    """An edit moves text that it is not about by more than ``max_drift`` allows."""


class DamagedFileError(EasyEditIceError, RuntimeError):
    """A file of the cache, or of an expert, is not as it was written; the message has the remedy."""


class StatisticsError(EasyEditIceError, RuntimeError):
    """Second moments that do not determine an update, or that would be written over others."""


class SpectrumError(EasyEditIceError, RuntimeError):
    """The singular values of a weight cannot be found."""


class ExpertError(EasyEditIceError, RuntimeError):
    """An expert cannot be read or belongs to another model, or experts cannot be trained, mixed or asked as wanted."""


# --- the edit book -------------------------------------------------------------------------------


class BookError(EasyEditIceError, RuntimeError):
    """An edit book cannot do what is asked of it."""


class BookDamagedError(BookError):
    """A file of an edit book is missing, or is not as it was written."""


class BookInUseError(BookError):
    """Another process is writing to the edit book."""


class BookConflictError(BookError):
    """Edits that contradict each other were to be in a model together."""


class ExistsError(BookError, FileExistsError):
    """A file or folder is there already, and is not written over."""


class HubError(BookError):
    """The Hugging Face Hub does not give or take an edit book."""


# --- what is installed ----------------------------------------------------------------------------


class MissingExtraError(EasyEditIceError, ImportError):
    """A command or function needs packages of an extra, which are not installed."""


# --- the host -----------------------------------------------------------------------------------


class HostError(EasyEditIceError, RuntimeError):
    """EasyEdit cannot do what is asked of it."""


class HostEditError(HostError):
    """Code of EasyEdit failed while it wrote a fact, or cannot write facts to such a model."""


class HostNotFoundError(HostError, ImportError):
    """No EasyEdit is installed or pointed to."""


class HostIncompatibleError(HostError):
    """The EasyEdit that is loaded lacks something this package builds on."""


class MissingPackageError(HostError, ImportError):
    """A part of EasyEdit was used that needs a package which is not installed."""


class ScoringProtocolError(HostError, ValueError):
    """The hyperparameters ask for scores that are not teacher-forced, or the model has no such scores."""


# --- the benchmark ------------------------------------------------------------------------------


class RunConfigError(EasyEditIceError, ValueError):
    """A setting of a benchmark run is unknown, or does not fit the others."""


class LedgerError(EasyEditIceError, RuntimeError):
    """A run's folder cannot be written to, or its ledger cannot be read."""


class RunInUseError(LedgerError):
    """Another process is writing to the run's folder."""


class OtherRunError(LedgerError):
    """The folder holds a run of other settings."""


class LongRunError(RunConfigError):
    """A run would take longer, or edit more facts, than was asked for in so many words."""


class RunFailedError(EasyEditIceError, RuntimeError):
    """A run ended by an error that nobody raised on purpose; the log has its traceback."""


class AllFactsFailedError(EasyEditIceError, RuntimeError):
    """A method failed on every fact of a run."""


class AbilityError(EasyEditIceError, RuntimeError):
    """A task of lm-eval cannot be had, or cannot be put to a model."""


class AfterlifeError(EasyEditIceError, RuntimeError):
    """An edited model cannot be trained, rounded or merged as it was to be, to see what stays of its edits."""


class JudgeError(EasyEditIceError, RuntimeError):
    """A model that was to judge answers gives no judgement."""


class IncomparableRunsError(EasyEditIceError, ValueError):
    """Runs of different models, facts or ways to measure were to be put side by side."""


# --- the page -----------------------------------------------------------------------------------


class PageError(EasyEditIceError, OSError):
    """The page cannot be served where it was to be."""


# --- conformance --------------------------------------------------------------------------------


class ConformanceError(EasyEditIceError, AssertionError):
    """An algorithm breaks one of the promises in :mod:`easyedit_ice.testing`."""


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """``" Did you mean 'rank'?"`` if a known name is ``name`` with an ending, or close to it, else an empty string.

    Capital letters do not count.
    """
    names = {one.lower(): one for one in candidates}
    wanted = name.lower()
    begun = [one for one in names if one.partition("-")[0] == wanted]
    close = begun or get_close_matches(wanted, names, n=1)
    return f" Did you mean {names[close[0]]!r}?" if close else ""
