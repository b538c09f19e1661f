"""Second moments where EasyEdit's MEMIT and its kin look for theirs, so that they need no Wikipedia.

EasyEdit names a file of statistics by the model's name, the text and the number of samples, and believes what it finds
there. Ours lie in folders named by what they really depend on: the weights and the text.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.cache import cache_folder, made_once
from easyedit_ice.closed_form.statistics import second_moments
from easyedit_ice.errors import DataError, HyperParamsError
from easyedit_ice.host.locate import PACKAGE, host_info
from easyedit_ice.randomness import seeded
from easyedit_ice.training.sampling import beginning, sample
from easyedit_ice.world import general_text

logger = logging.getLogger(__name__)

WORLD_TEXT, OWN_TEXT = "factworld", "samples"
"""Values of ``mom2_dataset``: text of the embedded world, and text the model writes itself."""

_LENGTH = 64


def provide_statistics(model: nn.Module, tok: Any, hparams: Any) -> None:
    """Write the statistics that a method will look for, and have its ``stats_dir`` say where they are.

    Nothing is done for a method that uses none, and for a ``mom2_dataset`` that is neither the path of a text file nor
    one of ours: EasyEdit then looks into ``stats_dir`` and else downloads.

    Args:
        model: as it is before any edit.
        tok: its tokenizer.
        hparams: of EasyEdit's class; ``mom2_n_samples`` is the number of texts.

    Raises:
        DataError: the text file cannot be read, or has fewer lines than samples.
        HyperParamsError: the model has no name.
    """
    dataset = getattr(hparams, "mom2_dataset", None)
    if not getattr(hparams, "mom2_adjustment", False) or not (
        dataset in (WORLD_TEXT, OWN_TEXT) or Path(str(dataset)).is_file()
    ):
        return
    if not model.config._name_or_path:
        raise HyperParamsError(
            "EasyEdit files second moments by the model's name, and this model has none; load it from a folder, or set "
            "model.config._name_or_path"
        )
    names = _module_names(hparams)
    texts = list(_texts(model, tok, dataset, hparams.mom2_n_samples))
    hparams.stats_dir = str(cache_folder("statistics", model, texts))
    hparams.mom2_dataset = Path(dataset).stem
    paths = {name: _path(model, hparams, name) for name in names}
    missing = [name for name, path in paths.items() if not path.exists()]
    if missing:
        logger.info("measuring second moments of %s over %d texts", ", ".join(missing), len(texts))
        found = second_moments(model, tok, missing, texts)
        for name, moment in found.moments.items():
            made_once(paths[name], partial(_write, moment, found.tokens, hparams))


def _module_names(hparams: Any) -> list[str]:
    templates = getattr(hparams, "rewrite_module_tmps", None) or [hparams.rewrite_module_tmp]
    return [template.format(layer) for template in templates for layer in hparams.layers]


def _texts(model: nn.Module, tok: Any, dataset: str, count: int) -> Iterable[str]:
    if dataset == WORLD_TEXT:
        return general_text(count, seed=1)
    if dataset == OWN_TEXT:
        with seeded(0, model):
            written = sample(model, tok, [(beginning(tok),)] * count, length=_LENGTH)
        return (tok.decode(ids, skip_special_tokens=True) for ids in written)
    return _lines(Path(dataset), count)


def _lines(path: Path, count: int) -> Iterator[str]:
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"it cannot be read ({error}); give a UTF-8 file with a text a line", str(path)) from error
    if len(lines) < count:
        raise DataError(f"it has {len(lines)} lines of text, but mom2_n_samples is {count}; lower it", str(path))
    return iter(lines[:count])


def _path(model: nn.Module, hparams: Any, name: str) -> Path:
    """Where EasyEdit's ``layer_stats`` looks."""
    path = model.config._name_or_path
    folder = path.replace("/", "_") if host_info().kind == "release" else path.rsplit("/")[-1]
    file = f"{name}_{hparams.mom2_dtype}_mom2_{hparams.mom2_n_samples}.npz"
    return Path(hparams.stats_dir) / folder / f"{hparams.mom2_dataset}_stats" / file


def _write(moment: Tensor, tokens: int, hparams: Any, path: Path) -> None:
    """Write a file by EasyEdit's own means."""
    stats = import_module(f"{PACKAGE}.util.runningstats")
    own = stats.SecondMoment()
    own.count, own.mom2 = tokens, (moment * tokens).to(getattr(torch, hparams.mom2_dtype))
    stats.save_cached_state(path, stats.CombinedStat(mom2=own), {"sample_size": hparams.mom2_n_samples})
