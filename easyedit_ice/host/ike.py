"""EasyEdit's IKE: demonstrations of other facts, retrieved by their likeness to the fact at hand."""

from __future__ import annotations

import copy as copying
import importlib
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from easyedit_ice.errors import HyperParamsError, MissingPackageError
from easyedit_ice.host.locate import PACKAGE
from easyedit_ice.host.printed import LogLines
from easyedit_ice.host.registration import base_editor


class HostIke:
    """IKE's retriever, with the demonstrations embedded.

    Args:
        model: the model that is asked; also embeds sentences where ``sentence_model_name`` is empty.
        tok: its tokenizer.
        hparams: of EasyEdit's class; a copy is used, with a folder of ours as ``results_dir``.
        examples: requests of the facts to demonstrate with; those without another wording and a locality probe are
            left out.

    Raises:
        MissingPackageError: sentence-transformers is not installed.
        HyperParamsError: there are fewer demonstrations than the method is to show.
    """

    def __init__(self, model: nn.Module, tok: Any, hparams: Any, examples: Iterable[Mapping[str, Any]]) -> None:
        sentences = _sentence_transformers()
        tok.padding_side = "left"
        given = copying.copy(hparams)
        given.model_name, given.device = (model, tok), str(next(model.parameters()).device)
        editor = base_editor().from_hparams(given)
        self.hparams = editor.hparams
        self._apply = editor.apply_algo
        self._model, self._tok = model, tok
        self._demonstrations = [found for example in examples if (found := _demonstration(example))]
        if 3 * len(self._demonstrations) < self.hparams.k:
            raise HyperParamsError(
                f"IKE shall show k={self.hparams.k} demonstrations, but only {len(self._demonstrations)} of the "
                "example facts have another wording and a locality probe, of which it makes 3 each; give more, or "
                "lower k"
            )
        self._folder = TemporaryDirectory(prefix="easyedit_ice_ike_")
        self.hparams.results_dir = self._folder.name
        if not self.hparams.sentence_model_name:
            self.hparams.sentence_model_name = str(_own_encoder(model, tok, Path(self._folder.name) / "encoder"))
        encoder = sentences.SentenceTransformer(self.hparams.sentence_model_name, device=self.hparams.device)
        encode = importlib.import_module(f"{PACKAGE}.models.ike.util").encode_ike_facts
        encode(encoder, self._demonstrations, self.hparams)

    def demonstrations(self, request: Mapping[str, Any]) -> list[str]:
        """The texts that IKE puts before the fact, in its order."""
        with redirect_stdout(LogLines()):
            return self._apply(self._model, self._tok, dict(request), self.hparams, train_ds=self._demonstrations)

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
    probes = [
        (prompt, answer)
        for kind in example.get("locality", {}).values()
        for prompt, answer in zip(kind["prompt"], kind["ground_truth"], strict=True)
    ]
    if not probes or not example.get("rephrase_prompt"):
        return None
    named = {key: example[key] for key in ("prompt", "target_new", "rephrase_prompt")}
    return named | {"locality_prompt": probes[0][0], "locality_ground_truth": probes[0][1]}


def _own_encoder(model: nn.Module, tok: Any, folder: Path) -> Path:
    """A sentence encoder made of the model itself: the mean of its last hidden states, as is made of any checkpoint."""
    model.save_pretrained(folder / "checkpoint")
    tok.save_pretrained(folder / "checkpoint")
    _sentence_transformers().SentenceTransformer(str(folder / "checkpoint")).save(str(folder / "own"))
    return folder / "own"
