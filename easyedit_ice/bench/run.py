"""One run, from its configuration to its ledger."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from easyedit_ice.asking import Asking, asking_for
from easyedit_ice.bench.checkpoint import save_checkpoint
from easyedit_ice.bench.config import given
from easyedit_ice.bench.examine import Examiner, drift_texts, text_of
from easyedit_ice.bench.facts import Facts, choose
from easyedit_ice.bench.ledger import Ledger, Line, RunFolder
from easyedit_ice.bench.logs import logging_to
from easyedit_ice.bench.manifest import Manifest, enter, git_revision, now, versions
from easyedit_ice.bench.methods import Method, make_method
from easyedit_ice.bench.modes import Bench, Stream, run_apart, run_stream
from easyedit_ice.bench.shards import Process, merge, open_ledger
from easyedit_ice.bench.stream import StreamState
from easyedit_ice.bench.track import tracking
from easyedit_ice.cache import fingerprint
from easyedit_ice.errors import AllFactsFailedError, RunConfigError, did_you_mean
from easyedit_ice.evaluation import Drift
from easyedit_ice.evaluation.knowledge import Knowledge
from easyedit_ice.evaluation.rest import Rest
from easyedit_ice.host import host_info
from easyedit_ice.host.settings import AUTO
from easyedit_ice.hparams import EditHyperParams
from easyedit_ice.loading import load_model

logger = logging.getLogger(__name__)

MODES = ("single", "batch", "sequential")
SCORERS = ("batched", "easyedit")
ELSEWHERE = {
    "model_name": "model.name",
    "device": "model.device",
    "dtype": "model.dtype",
    "chat": "model.chat",
    "seed": "seed",
}
"""Settings of methods that a run has for all of them."""


def run(config: DictConfig, folder: str | Path) -> Path:
    """Do a run, or what is left of it.

    Args:
        config: of the schema of :class:`~easyedit_ice.bench.config.RunConfig`.
        folder: of the run; made if it is not there.

    Returns:
        the folder.

    Raises:
        RunConfigError: settings do not fit together.
        RunInUseError: another process works in the folder.
        OtherRunError: the folder holds a run of other settings.
        LedgerError: the folder cannot be written to, or its files cannot be read.
        AllFactsFailedError: the method failed on every fact.
    """
    _check(config)
    folder, process = Path(folder), Process.current()
    with _entered(folder, process), logging_to(folder, config.verbosity) as shown, _threads(config.threads):
        facts = _choose(config, shown)
        logger.info("%s: %d facts of %s, %s", config.algorithm.name, len(facts.edited), facts.source, config.mode.name)
        method = _method(config, facts)
        if process.index == 0:
            enter(folder, _manifest(config, method, facts))
        process.wait()
        asking = asking_for(method.tok, _in_chat(config, method))
        drift, rest = _drift(config, method, facts, asking), _rest(config, method, facts, asking)
        ledger = open_ledger(folder, process)
        try:
            with _progress(config, folder, len(facts.edited), process, shown) as progress:
                examiner = Examiner(config.evaluation, method.tok, method.hparams, config.seed, drift, rest, asking)
                bench = Bench(method, examiner, ledger, config.seed, progress)
                _run_mode(config, bench, facts, folder, process)
        finally:
            ledger.close()
        process.wait()
        if process.index == 0:
            _finish(config, folder, method, facts)
        process.wait()
    return folder


def _run_mode(config: DictConfig, bench: Bench, facts: Facts, folder: Path, process: Process) -> None:
    mode = config.mode
    if mode.name == "sequential":
        stream = Stream(mode.batch_size, mode.retain_every, mode.checkpoint_every)
        run_stream(bench, facts.edited, facts.untouched, stream, StreamState(folder))
    else:
        run_apart(bench, process.share(facts.edited, mode.batch_size), mode.batch_size)


def _finish(config: DictConfig, folder: Path, method: Method, facts: Facts) -> None:
    merge(folder)
    ledger = Ledger(folder / "ledger.jsonl")
    failed = [line for line in ledger if line["phase"] == "failed"]
    ledger.close()
    if config.save:
        save_checkpoint(folder, method)
    logger.info("%s: done, in %s", config.algorithm.name, folder)
    if len(failed) == len(facts.edited):
        raise AllFactsFailedError(
            f"{config.algorithm.name} failed on each of the {len(failed)} facts, first with {failed[0]['error']}; "
            f"see {folder / 'run.log'}"
        )
    if failed:
        logger.warning("%d facts could not be written, first: %s", len(failed), failed[0]["error"])


def _check(config: DictConfig) -> None:
    mode, evaluation = config.mode, config.evaluation
    for name, value, known in (("mode.name", mode.name, MODES), ("evaluation.scorer", evaluation.scorer, SCORERS)):
        if value not in known:
            raise RunConfigError(
                f"{name} is {value!r}; expected one of {', '.join(known)}.{did_you_mean(value, known)}"
            )
    if mode.batch_size < 1 or (mode.name == "single" and mode.batch_size != 1):
        raise RunConfigError(f"mode.batch_size is {mode.batch_size} in mode {mode.name}; choose mode=batch, or 1")
    if mode.checkpoint_every < 1 or mode.retain_every < 0 or config.threads < 1:
        raise RunConfigError(
            f"mode.checkpoint_every is {mode.checkpoint_every}, mode.retain_every {mode.retain_every}, threads "
            f"{config.threads}; the first and the last must be at least 1, the second at least 0"
        )
    if evaluation.known_facts < 0 or evaluation.perplexity_tokens < 2:
        raise RunConfigError(
            f"evaluation.known_facts is {evaluation.known_facts} and evaluation.perplexity_tokens "
            f"{evaluation.perplexity_tokens}; the first must be at least 0, the second at least 2"
        )
    if config.save and mode.name != "sequential":
        raise RunConfigError(
            f"save keeps the model after a stream, and edits of mode {mode.name} do not stay; leave it"
        )
    if mode.name == "sequential" and Process.current().count > 1:
        raise RunConfigError(
            f"a stream of edits cannot be shared among {Process.current().count} processes; start one, or choose "
            "mode=single or mode=batch"
        )
    for name, elsewhere in ELSEWHERE.items():
        if name in given(config.algorithm.hparams):
            raise RunConfigError(f"algorithm.hparams.{name} is set for all methods by {elsewhere}; set that")


def _method(config: DictConfig, facts: Facts) -> Method:
    algorithm = config.algorithm
    method = make_method(
        algorithm.name,
        model=config.model,
        preset=algorithm.preset,
        settings=given(algorithm.hparams),
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
    if config.evaluation.scorer == "easyedit" and _in_chat(config, method):
        raise RunConfigError(
            "EasyEdit's evaluator asks bare prompts, and model.chat asks in a chat; choose evaluation.scorer=batched"
        )
    if _in_chat(config, method) != config.model.chat and (facts.chosen is not None or facts.kept.records):
        raise RunConfigError(
            "the method's settings ask in a chat, but known facts are sought as model.chat says; set model.chat=true"
        )
    if config.evaluation.scorer == "easyedit" and method.kind == "context":
        raise RunConfigError(
            f"EasyEdit's evaluator asks edited models, and {algorithm.name} edits none; choose "
            "evaluation.scorer=batched"
        )
    return method


def _manifest(config: DictConfig, method: Method, facts: Facts) -> Manifest:
    settings = given(config.algorithm.hparams)
    parameters = dict(method.model.named_parameters())
    return {
        "algorithm": method.name,
        "kind": method.kind,
        "label": config.label or _label(method.name, settings),
        "mode": {key: config.mode[key] for key in ("name", "batch_size", "retain_every")},
        "model": {
            "name": config.model.name,
            "fingerprint": fingerprint(method.model.state_dict().items()),
            "parameters": sum(parameter.numel() for parameter in parameters.values()),
            "dtype": str(next(iter(parameters.values())).dtype).removeprefix("torch."),
            "device": str(next(iter(parameters.values())).device),
            "tokenizer": type(method.tok).__name__,
            "chat": _in_chat(config, method),
        },
        "data": {
            "source": facts.source,
            "hash": facts.hash,
            "facts": len(facts.edited),
            "untouched": len(facts.untouched),
            "untouched_hash": facts.untouched_hash,
            **{key: config.data[key] for key in ("start", "size", "seed")},
            "known": None if facts.chosen is None else facts.chosen.entry(),
        },
        "known_facts": facts.kept.entry() if facts.kept.records else None,
        "evaluation": OmegaConf.to_container(config.evaluation, resolve=True),
        "preset": method.preset,
        "made_from_shape": _made_from_shape(method, settings),
        "hparams": method.settings(),
        "seed": config.seed,
        "versions": versions(),
        "host": str(host_info()),
        "git": git_revision(),
        "threads": config.threads,
        "command": f"{sys.argv[0]} {shlex.join(sys.argv[1:])}",
        "started": now(),
    }


def _made_from_shape(method: Method, given: Mapping[str, Any]) -> list[str]:
    """Settings of EasyEdit's methods that no preset has and nobody gave."""
    if method.kind == "ours" or method.preset != AUTO:
        return []
    return [name for name in method.settings() if name not in given and name not in ELSEWHERE]


def _label(name: str, settings: Mapping[str, Any]) -> str:
    return " ".join([name, *(f"{key}={value}" for key, value in settings.items())])


def _in_chat(config: DictConfig, method: Method) -> bool:
    """Whether the model is edited and asked in a chat: by the run's own setting, or by a file of the method's."""
    return config.model.chat or getattr(method.hparams, "chat", False)


def _drift(config: DictConfig, method: Method, facts: Facts, asking: Asking) -> Drift | None:
    count = config.evaluation.drift_texts
    if not count:
        return None
    about = [name for fact in facts.edited for name in (fact.request.get("subject"),) if name]
    texts = drift_texts(config.evaluation.drift_source, count, about)
    kept = [(asking.text(own.prompt), own.answer) for fact in facts.edited for own in fact.asked if own.keeps]
    return Drift(method.model, method.tok, texts, kept[:count], config.evaluation.max_length, asking)


def _rest(config: DictConfig, method: Method, facts: Facts, asking: Asking) -> Rest | None:
    source = config.evaluation.perplexity_text
    if source is None and not facts.kept.records:
        return None
    text = None if source is None else text_of(source)
    return Rest(method.tok, facts.kept.questions, text, config.evaluation.perplexity_tokens, asking)


def _choose(config: DictConfig, shown: bool) -> Facts:
    """The facts; the model is loaded to be asked what it knows, as it is before a method makes anything of it."""

    @cache
    def knowledge() -> Knowledge:
        settings = {"model_name": config.model.name, "device": config.model.device, "dtype": config.model.dtype}
        model, tok = load_model(EditHyperParams(**settings))
        return Knowledge(model, tok, asking_for(tok, config.model.chat), progress=shown)

    return choose(config.data, config.evaluation.known_facts, knowledge)


@contextmanager
def _entered(folder: Path, process: Process) -> Iterator[None]:
    """The first process holds the folder for all of them."""
    if process.index:
        process.wait()
        yield
        return
    with RunFolder(folder):
        process.wait()
        yield


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _progress(
    config: DictConfig, folder: Path, facts: int, process: Process, shown: bool
) -> Iterator[Callable[[int, Sequence[Line]], None]]:
    """A bar with the time left, and the trackers asked for."""
    mine = facts if process.count == 1 else None
    disabled = not shown or process.index > 0
    with (
        tqdm(total=mine, desc=config.algorithm.name, unit="fact", disable=disabled) as bar,
        tracking(config.tracker, folder, config, process.index == 0) as track,
    ):

        def tell(count: int, lines: Sequence[Line]) -> None:
            bar.update(count)
            track(lines)

        yield tell
