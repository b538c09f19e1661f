"""One run, from its configuration to its ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from easyedit_ice.bench.asking.aftermath import aftermath_of
from easyedit_ice.bench.asking.examiner import Examiner, drift_texts, text_of
from easyedit_ice.bench.asking.facts import Fact, Facts, choose
from easyedit_ice.bench.asking.kept_answers import KeptAnswers
from easyedit_ice.bench.asking.undo_check import UndoCheck
from easyedit_ice.bench.config import overrides_of
from easyedit_ice.bench.methods import Method, make_method
from easyedit_ice.bench.running.apart_mode import run_apart
from easyedit_ice.bench.running.batch_edit import Bench
from easyedit_ice.bench.running.checkpoint import save_checkpoint
from easyedit_ice.bench.running.checks import check
from easyedit_ice.bench.running.description import in_chat, manifest_of
from easyedit_ice.bench.running.judge import judge_of
from easyedit_ice.bench.running.shards import Process, has_lines, merge, open_ledger
from easyedit_ice.bench.running.stream_mode import Stream, run_stream
from easyedit_ice.bench.running.stream_state import StreamState
from easyedit_ice.bench.running.time_left import MOST_FACTS, Pace
from easyedit_ice.bench.storage.ledger import LEDGER
from easyedit_ice.bench.storage.line import Line
from easyedit_ice.bench.storage.run_folder import RunFolder
from easyedit_ice.bench.storage.run_manifest import enter, origin_of, read
from easyedit_ice.bench.storage.sealed_lines import read_sealed
from easyedit_ice.bench.telemetry.cost import Meter
from easyedit_ice.bench.telemetry.logs import LOG, logging_to
from easyedit_ice.bench.telemetry.track import tracking
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.errors import AllFactsFailedError, EasyEditIceError, RunConfigError, RunFailedError
from easyedit_ice.evaluation import Drift
from easyedit_ice.evaluation.abilities import Tasks
from easyedit_ice.evaluation.knowledge import Knowledge
from easyedit_ice.evaluation.side_effects import Rest
from easyedit_ice.runtime.progress import progress, silent, watched
from easyedit_ice.runtime.threads import threads
from easyedit_ice.text.chat import Asking, asking_for

logger = logging.getLogger(__name__)


def run(config: DictConfig, folder: str | Path, pace: Callable[..., Pace] = Pace) -> Path:
    """Do a run, or what is left of it.

    Args:
        config: of the schema of :class:`~easyedit_ice.bench.config.RunConfig`.
        folder: of the run; made if it is not there.
        pace: makes what measures how long it takes.

    Returns:
        the folder.

    Raises:
        RunConfigError: settings are out of bounds, or do not fit together.
        LongRunError: it edits more facts or takes longer than was asked for; see
            :mod:`easyedit_ice.bench.running.time_left`.
        RunInUseError: another process works in the folder.
        OtherRunError: the folder holds a run of other settings.
        LedgerError: the folder cannot be written to, or its files cannot be read.
        AllFactsFailedError: the method failed on every fact.
        RunFailedError: anything else went wrong; the log has the traceback, and the lines before it are kept.
    """
    check(config)
    folder, process = Path(folder), Process.current()
    with (
        _entered(folder, process),
        logging_to(folder, config.verbosity) as shown,
        _named_failures(config.algorithm.name, folder),
        threads(config.threads),
        nullcontext() if shown and process.index == 0 else watched(silent),
    ):
        facts = _choose(config)
        logger.info("%s: %d facts of %s, %s", config.algorithm.name, len(facts.edited), facts.source, config.mode.name)
        method = _method(config, facts)
        tasks, judge = _tasks(config, method), judge_of(config.evaluation, config.model.device)
        if process.index == 0:
            enter(folder, manifest_of(config, method, facts, tasks, judge))
        process.wait()
        asking = asking_for(method.tok, in_chat(config, method))
        drift, rest = _drift(config, method, facts, asking), _rest(config, method, facts, asking)
        ledger = open_ledger(folder, process, origin_of(folder))
        try:
            mine = process.share(facts.edited, config.mode.batch_size)
            with _progress(config, folder, len(mine), process, shown, pace) as tell:
                kept = _kept_answers(config, method, asking, read(folder)["model"]["fingerprint"])
                examiner = Examiner(
                    config.evaluation, method.tok, method.hparams, config.seed, drift, rest, asking, judge, kept
                )
                undo_check = _undo_check(config, method, facts, asking)
                aftermath = aftermath_of(config.evaluation, method, examiner, tasks, facts.subjects, config.seed)
                meter = Meter(method.model)
                bench = Bench(method, examiner, undo_check, ledger, config.seed, meter, tell, aftermath)
                _run_mode(config, bench, mine, facts.untouched, folder)
        finally:
            ledger.close()
        process.wait()
        if process.index == 0:
            _finish(config, folder, facts)
        process.wait()
    return folder


def _run_mode(config: DictConfig, bench: Bench, facts: Sequence[Fact], untouched: Sequence[Fact], folder: Path) -> None:
    mode = config.mode
    if mode.name == "sequential":
        stream = Stream(mode.batch_size, mode.retain_every, mode.checkpoint_every)
        save: Callable[[], object] = partial(save_checkpoint, folder, bench.method) if config.save else lambda: None
        run_stream(bench, facts, untouched, stream, StreamState(folder, bench.ledger), save)
    else:
        run_apart(bench, facts, mode.batch_size)


def _finish(config: DictConfig, folder: Path, facts: Facts) -> None:
    origin = origin_of(folder)
    merge(folder, origin)
    failed = [line for line in read_sealed(folder / LEDGER, origin).lines if line["phase"] == "failed"]
    logger.info("%s: done, in %s", config.algorithm.name, folder)
    if len(failed) == len(facts.edited):
        raise AllFactsFailedError(
            f"{config.algorithm.name} failed on each of the {len(failed)} facts, first with {failed[0]['error']}; "
            f"see {folder / 'run.log'}"
        )
    if failed:
        logger.warning("%d facts could not be written, first: %s", len(failed), failed[0]["error"])


def _method(config: DictConfig, facts: Facts) -> Method:
    algorithm = config.algorithm
    method = make_method(
        algorithm.name,
        model=config.model,
        preset=algorithm.preset,
        settings=overrides_of(algorithm.hparams),
        examples=facts.examples,
    )
    if config.mode.batch_size > 1 and not method.batchable:
        raise RunConfigError(
            f"{algorithm.name} writes one fact at a time, but mode.batch_size is {config.mode.batch_size}; set it to 1"
        )
    count = Process.current().count
    if count > 1 and getattr(method.hparams, "data_parallel", False):
        raise RunConfigError(
            "algorithm.hparams.data_parallel shares the training of each batch among processes, but this run deals its "
            f"facts out to {count} processes, each of which trains alone; leave data_parallel out"
        )
    if config.evaluation.scorer == "easyedit" and in_chat(config, method):
        raise RunConfigError(
            "EasyEdit's evaluator asks bare prompts, and model.chat asks in a chat; choose evaluation.scorer=batched"
        )
    if in_chat(config, method) != config.model.chat and (facts.chosen is not None or facts.known_facts.records):
        raise RunConfigError(
            "the method's settings ask in a chat, but known facts are sought as model.chat says; set model.chat=true"
        )
    if config.evaluation.scorer == "easyedit" and method.kind in ("context", "retrieval"):
        raise RunConfigError(
            f"EasyEdit's evaluator asks edited models, and {algorithm.name} edits none; choose "
            "evaluation.scorer=batched"
        )
    return method


def _tasks(config: DictConfig, method: Method) -> Tasks | None:
    """The tasks whose abilities are scored, found before anything is edited."""
    evaluation = config.evaluation
    if not evaluation.abilities:
        return None
    limit, batch = evaluation.abilities_limit, evaluation.abilities_batch
    return Tasks(list(evaluation.abilities), limit, chat=in_chat(config, method), batch_size=batch)


def _drift(config: DictConfig, method: Method, facts: Facts, asking: Asking) -> Drift | None:
    count = config.evaluation.drift_texts
    if not count:
        return None
    texts = drift_texts(config.evaluation.drift_source, count, facts.subjects)
    stays = [
        (asking.text(question.prompt), question.answer)
        for fact in facts.edited
        for question in fact.asked
        if question.keeps
    ]
    return Drift(method.model, method.tok, texts, stays[:count], config.evaluation.max_length, asking)


def _rest(config: DictConfig, method: Method, facts: Facts, asking: Asking) -> Rest | None:
    source = config.evaluation.perplexity_text
    if source is None and not facts.known_facts.records:
        return None
    text = None if source is None else text_of(source)
    return Rest(method.tok, facts.known_facts.questions, text, config.evaluation.perplexity_tokens, asking)


def _kept_answers(config: DictConfig, method: Method, asking: Asking, weights: str) -> KeptAnswers | None:
    """What the unedited model said in other runs; nothing where the method's settings or a judge have a say in it."""
    evaluation = cast("dict[str, Any]", OmegaConf.to_container(config.evaluation, resolve=True))
    if evaluation["judge"] or evaluation["scorer"] == "easyedit":
        return None
    return KeptAnswers(method.model, method.tok, asking, evaluation | {"seed": config.seed}, weights)


def _undo_check(config: DictConfig, method: Method, facts: Facts, asking: Asking) -> UndoCheck | None:
    """Asks known facts beside the edited ones, or where there are none facts that the run does not use."""
    prompts = [prompt for prompt, _ in facts.known_facts.questions]
    others = prompts or (example["prompt"] for example in facts.examples)
    return UndoCheck(method.tok, others, asking) if config.evaluation.undo else None


def _choose(config: DictConfig) -> Facts:
    """The facts; the model is loaded to be asked what it knows, as it is before a method makes anything of it."""

    @cache
    def knowledge() -> Knowledge:
        settings = {"model_name": config.model.name, "device": config.model.device, "dtype": config.model.dtype}
        model, tok = load_model(EditHyperParams(**settings))
        return Knowledge(model, tok, asking_for(tok, config.model.chat))

    facts = choose(config.data, config.evaluation.known_facts, knowledge, None if config.confirm else MOST_FACTS)
    return facts.with_claims(config.seed) if config.evaluation.probes else facts


@contextmanager
def _entered(folder: Path, process: Process) -> Iterator[None]:
    """The first process holds the folder for all of them, and forgets a run that ends before it has a line."""
    if process.index:
        process.wait()
        yield
        return
    with RunFolder(folder) as held:
        process.wait()
        try:
            yield
        except RunFailedError:  # the log is wanted
            raise
        except BaseException:
            if not has_lines(folder):
                held.forget()
            raise


@contextmanager
def _named_failures(name: str, folder: Path) -> Iterator[None]:
    """Say of an error that nobody raised on purpose where its traceback is."""
    try:
        yield
    except (EasyEditIceError, OmegaConfBaseException, OSError):
        raise
    except Exception as error:
        logger.debug("the run ended by an error", exc_info=True)
        said = "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
        raise RunFailedError(
            f"{name} failed with {said}. This is a fault of the program, and of no single fact: {folder / LOG} has the "
            "traceback, to report it with. What was done before is kept, and the same command goes on from there"
        ) from error


@contextmanager
def _progress(
    config: DictConfig, folder: Path, facts: int, process: Process, shown: bool, pace_of: Callable[..., Pace]
) -> Iterator[Callable[[int, Sequence[Line]], None]]:
    """A bar with the time left, or where no terminal shows it a line now and then; and the trackers asked for."""
    name, first = config.algorithm.name, process.index == 0
    pace = pace_of(name, facts, confirmed=config.confirm or process.count > 1, told=_silent if shown else logger.info)
    with (
        progress(None, name, facts, "fact") as advance,
        tracking(config.tracker, folder, config, first) as track,
    ):

        def tell(count: int, lines: Sequence[Line]) -> None:
            advance(count)
            track(lines)
            pace.move(count, worked=bool(lines))

        yield tell


def _silent(text: str) -> None:
    """Say nothing where a bar says it."""
