"""EasyEdit's IKE: demonstrations of other facts, retrieved by their likeness to the fact at hand."""

from __future__ import annotations

import copy as copying
import importlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from easyedit_ice.easyedit.locate import PACKAGE
from easyedit_ice.easyedit.plugin.registration import editor_of
from easyedit_ice.easyedit.plugin.undo_on_failure import named_failures
from easyedit_ice.errors import HyperParamsError, MissingPackageError
from easyedit_ice.model.pretrained import pretrained
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.cache import cache_folder, made_once
from easyedit_ice.runtime.captured_output import logged_prints

MOST_DEMONSTRATIONS = 1000
"""Facts to demonstrate with that are embedded: the first of those that may be; each takes three sentences."""
_ALIAS = "Subject_Aliasing"
"""Probes that ask a fact by another name of its subject."""


class HostIke:
    """IKE's retriever, with the demonstrations embedded.

    Args:
        model: the model that is asked; also embeds sentences where ``sentence_model_name`` is empty.
        tok: its tokenizer.
        hparams: of EasyEdit's class; a copy is used, with a folder of the user's cache as ``results_dir``.
        examples: requests of the facts to demonstrate with. Where a fact has no other wording, its question by an
            alias of the subject stands in; those that have neither, or no locality probe, are left out.

    Raises:
        MissingPackageError: sentence-transformers is not installed.
        HyperParamsError: there are fewer demonstrations than the method is to show.
    """

    def __init__(self, model: nn.Module, tok: Tokenizer, hparams: Any, examples: Iterable[Mapping[str, Any]]) -> None:
        _sentence_transformers()
        tok.padding_side = "left"
        editor = editor_of(model, tok, hparams)
        self.hparams = editor.hparams
        self._apply = editor.apply_algo
        self._model, self._tok = model, tok
        usable = (text for example in examples if (text := _demonstration(example)))
        self._demonstrations = list(islice(usable, MOST_DEMONSTRATIONS))
        if 3 * len(self._demonstrations) < self.hparams.k:
            raise HyperParamsError(
                f"IKE shall show k={self.hparams.k} demonstrations, but only {len(self._demonstrations)} of the "
                "example facts have another wording, or an alias, and a locality probe, of which it makes 3 each; give "
                "more, or lower k"
            )
        texts = [str(self.hparams.sentence_model_name), *map(repr, self._demonstrations)]
        folder = cache_folder("ike", model, texts)
        if not self.hparams.sentence_model_name:
            encoder = made_once(folder / "own-encoder", partial(_make_encoder, model, tok))
            self.hparams.sentence_model_name = str(encoder)
        self.hparams.results_dir = str(folder)
        made_once(folder / self.hparams.alg_name, partial(_embed, self._demonstrations, self.hparams))

    def demonstrations(self, request: Mapping[str, Any]) -> list[str]:
        """The texts that IKE puts before the fact, in its order."""
        with logged_prints(), named_failures(self.hparams.alg_name):
            texts: list[str] = self._apply(
                self._model, self._tok, dict(request), self.hparams, train_ds=self._demonstrations
            )
            return texts

    def before(self, request: Mapping[str, Any]) -> str:
        """All that IKE puts before a question about the fact, as EasyEdit's evaluation does."""
        fact = f"New Fact: {request['prompt']} {request['target_new']}\nPrompt: "
        return "".join(self.demonstrations(request)) + fact


def _sentence_transformers() -> Any:
    try:
        return importlib.import_module("sentence_transformers")
    except ImportError as error:
        raise MissingPackageError(f"IKE needs sentence-transformers ({error}); install it") from None


def _demonstration(example: Mapping[str, Any]) -> dict[str, str] | None:
    """An example as ``encode_ike_facts`` takes it; ``None`` if it lacks something."""
    probes = _probes(example, "locality")
    rephrase = example.get("rephrase_prompt") or next(
        (prompt for prompt, _ in _probes(example, "portability", _ALIAS)), ""
    )
    if not probes or not rephrase:
        return None
    named = {key: example[key] for key in ("prompt", "target_new")} | {"rephrase_prompt": rephrase}
    return named | {"locality_prompt": probes[0][0], "locality_ground_truth": probes[0][1]}


def _probes(example: Mapping[str, Any], section: str, *kinds: str) -> list[tuple[str, Any]]:
    """Prompts and answers of an example's probes, of these kinds or of all."""
    return [
        pair
        for name, kind in (example.get(section) or {}).items()
        if name in kinds or not kinds
        for pair in zip(kind["prompt"], kind["ground_truth"], strict=True)
    ]


def _embed(demonstrations: Sequence[Mapping[str, Any]], hparams: Any, folder: Path) -> None:
    """Have EasyEdit embed the demonstrations; it writes into a folder of the method's name, within ``results_dir``."""
    apart = copying.copy(hparams)
    apart.results_dir = str(folder.parent)
    encoder = _sentence_transformers().SentenceTransformer(hparams.sentence_model_name, device=hparams.device)
    encode = importlib.import_module(f"{PACKAGE}.models.ike.util").encode_ike_facts
    with logged_prints():
        encode(encoder, demonstrations, apart)


def _make_encoder(model: nn.Module, tok: Tokenizer, folder: Path) -> None:
    """A sentence encoder made of the model itself: the mean of its last hidden states, as is made of any checkpoint."""
    with TemporaryDirectory() as checkpoint, logged_prints():
        pretrained(model).save_pretrained(checkpoint)
        tok.save_pretrained(checkpoint)
        _sentence_transformers().SentenceTransformer(checkpoint).save(str(folder))
