"""What an unedited model says of facts: asked once, and kept in the cache for every run that would ask the same.

All methods of a table begin with the same questions to the same model, and so does a stream that is resumed. Facts are
kept as they were asked together, for rows of a batch share their padding, and with it their last bits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

import easyedit_ice
from easyedit_ice.bench.asking.fact_answers import Answers
from easyedit_ice.bench.asking.facts import Fact
from easyedit_ice.bench.storage.run_manifest import versions
from easyedit_ice.evaluation import Observation
from easyedit_ice.evaluation.probes import Item, ProbeAnswer
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.cache import made_once
from easyedit_ice.runtime.store import Store
from easyedit_ice.text.chat import Asking

UNEDITED = Store("unedited", "1", "to have the model asked again", "*/*.json")


class KeptAnswers:
    """The answers of one model, asked in one way.

    Args:
        model: before any edit.
        tok: its tokenizer.
        asking: how questions are put to the model.
        settings: of what is asked, and of all that is drawn for it, as plain values.
        weights: the model's fingerprint, with all that its state holds; a run's manifest has it.
    """

    def __init__(
        self, model: nn.Module, tok: Tokenizer, asking: Asking, settings: Mapping[str, Any], weights: str
    ) -> None:
        config: Any = model.config
        depends_on = {
            "format": UNEDITED.format,
            "weights": weights,
            "config": {key: value for key, value in config.to_dict().items() if key != "_name_or_path"},
            "tokenizer": _digest_of(tok),
            "asking": asdict(asking),
            "settings": settings,
            "device": str(next(model.parameters()).device),
            "threads": torch.get_num_threads(),
            "versions": versions(),
            "code": _digest_of_code(),
        }
        self._folder = UNEDITED.folder / _digest(json.dumps(depends_on, sort_keys=True, default=str))

    def of(self, facts: Sequence[Fact], ask: Callable[[], Sequence[Answers]]) -> list[Answers]:
        """The answers on facts that are asked together.

        Args:
            facts: any number.
            ask: asks the model; called unless its answers are there.

        Raises:
            DamagedFileError: they were kept, and cannot be read.
        """
        path = self._folder / f"{_digest(repr([(fact.asked, fact.claim) for fact in facts]))}.json"
        made_once(path, lambda draft: _write(draft, ask()))
        return UNEDITED.read_json(path, _answers)


def _write(path: Path, answers: Sequence[Answers]) -> None:
    path.write_text(json.dumps([asdict(of_fact) for of_fact in answers]), encoding="utf-8")


def _answers(content: Any) -> list[Answers]:
    return [_of_fact(entry) for entry in content]


def _of_fact(entry: Mapping[str, Any]) -> Answers:
    return Answers(
        observations=tuple(map(_observation, entry["observations"])),
        fluency=entry["fluency"],
        quality=entry["quality"],
        seconds=entry["seconds"],
        in_ledger=entry["in_ledger"],
        probed=tuple(map(_probed, entry["probed"])),
        able={style: tuple(map(_probed, probes)) for style, probes in entry["able"].items()},
        judged=tuple(entry["judged"]),
    )


def _observation(entry: Mapping[str, Any]) -> Observation:
    return Observation(**{**entry, "expected": tuple(entry["expected"]), "predicted": tuple(entry["predicted"])})


def _probed(entry: Mapping[str, Any]) -> ProbeAnswer:
    items = tuple(Item(**{**item, "options": tuple(item["options"])}) for item in entry["items"])
    return ProbeAnswer(entry["probe"], items, tuple(map(tuple, entry["log_probs"])), entry["right"])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:24]


def _digest_of(tok: Tokenizer) -> str:
    """Hash of the files that a tokenizer is saved as."""
    with TemporaryDirectory() as folder:
        tok.save_pretrained(folder)
        return _digest_of_files(Path(folder), "*")


@cache
def _digest_of_code() -> str:
    """Hash of this package's code: another version of it may ask in another way."""
    return _digest_of_files(Path(easyedit_ice.__file__).parent, "*.py")


def _digest_of_files(folder: Path, pattern: str) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob(pattern) if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
