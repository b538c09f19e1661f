"""Second moments where EasyEdit's MEMIT and its kin look for theirs, so that they need no Wikipedia.

EasyEdit names a file of statistics by the model's name, the text and the number of samples, and believes what it finds
there. Ours lie in folders named by what they really depend on: the weights and the text.
"""

from __future__ import annotations

import logging
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from easyedit_ice.easyedit.locate import PACKAGE, host_info
from easyedit_ice.errors import DataError, HyperParamsError, StatisticsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.pretrained import pretrained
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.corpora import AUTO, OWN_TEXT, WORLD_TEXT, text_source
from easyedit_ice.precompute.moments import Measuring, moments
from easyedit_ice.precompute.second_moments import second_moments
from easyedit_ice.runtime.cache import cache_folder, made_once

logger = logging.getLogger(__name__)


def provide_statistics(model: nn.Module, tok: Tokenizer, hparams: Any) -> None:
    """Write the statistics that a method will look for, and have its ``stats_dir`` say where they are.

    Nothing is done for a method that uses none, and for a ``mom2_dataset`` that is neither the path of a text file nor
    one of ours: EasyEdit then looks into ``stats_dir`` and else downloads.

    Args:
        model: as it is before any edit.
        tok: its tokenizer.
        hparams: of EasyEdit's class; ``mom2_n_samples`` is the number of texts, or of tokens where ``mom2_dataset`` is
            ``"auto"``: the second moments are then those of this package's own methods, measured once for all of them.

    Raises:
        DataError: the text file cannot be read, or has fewer lines than samples.
        HyperParamsError: the model has no name, or there are fewer tokens than inputs of the projection.
    """
    dataset = str(getattr(hparams, "mom2_dataset", ""))
    if not getattr(hparams, "mom2_adjustment", False) or not (
        dataset in (AUTO, WORLD_TEXT, OWN_TEXT) or Path(dataset).is_file()
    ):
        return
    _require_name(model)
    if dataset == AUTO:
        _share_moments(model, tok, hparams)
        return
    texts = _texts(model, tok, dataset, hparams.mom2_n_samples)
    hparams.stats_dir = str(cache_folder("statistics", model, texts))
    hparams.mom2_dataset = Path(dataset).stem
    paths = _paths(model, hparams)
    missing = [name for name, path in paths.items() if not path.exists()]
    if missing:
        logger.info("measuring second moments of %s over %d texts", ", ".join(missing), len(texts))
        result = second_moments(model, tok, missing, texts)
        for name, moment in result.moments.items():
            made_once(paths[name], partial(_write, moment, result.tokens, hparams))


def _share_moments(model: nn.Module, tok: Tokenizer, hparams: Any) -> None:
    """Write what this package's own methods measured, or would."""
    text = text_source(AUTO, model, tok)
    hparams.stats_dir = str(cache_folder("statistics", model, [AUTO, text.fingerprint]))
    paths = _paths(model, hparams)
    missing = [name for name, path in paths.items() if not path.exists()]
    anatomy = ModelAnatomy(model)
    for name in missing:
        multiplier = hparams.mom2_n_samples // anatomy.projection(name).in_features
        if multiplier < 1:
            raise HyperParamsError(
                f"mom2_n_samples is {hparams.mom2_n_samples}, the tokens to measure on, and {name} has "
                f"{anatomy.projection(name).in_features} inputs; give several tokens for each"
            )
    if missing:
        measuring = Measuring(dynamic_multiplier=multiplier)
        for name, (moment, tokens) in moments(model, tok, missing, measuring).items():
            made_once(paths[name], partial(_write, moment, tokens, hparams))


def hand_over(model: nn.Module, tok: Tokenizer, hparams: Any, measuring: Measuring | None = None) -> list[Path]:
    """Put second moments of few tokens where a method of EasyEdit looks for its own, so that it downloads nothing.

    EasyEdit's files say nothing of where they come from; ours are named as it expects them, by ``mom2_dataset`` and
    ``mom2_n_samples``, whatever they were measured on.

    Args:
        model: as it is before any edit.
        tok: its tokenizer.
        hparams: of EasyEdit's ROME, MEMIT, EMMET, PMET, AlphaEdit or another that has ``stats_dir``; not changed.
        measuring: what they are measured on; by default ten tokens for each input of the projection.

    Returns:
        the files, in ``hparams.stats_dir``.

    Raises:
        StatisticsError: there are other statistics in their place, which are not written over.
        HyperParamsError: the method has no second moments, or the model has no name.
    """
    if not hasattr(hparams, "stats_dir") or not hasattr(hparams, "mom2_n_samples"):
        raise HyperParamsError(f"{getattr(hparams, 'alg_name', 'this method')} uses no second moments")
    _require_name(model)
    paths = _paths(model, hparams)
    for name, (moment, tokens) in moments(model, tok, list(paths), measuring or Measuring()).items():
        path = made_once(paths[name], partial(_write, moment, tokens, hparams))
        if not _holds(path, moment, tokens, hparams):
            raise StatisticsError(
                f"{path} holds other statistics, perhaps those of long work; set another stats_dir, or move it away"
            )
    return list(paths.values())


def _require_name(model: nn.Module) -> None:
    if not pretrained(model).config._name_or_path:
        raise HyperParamsError(
            "EasyEdit files second moments by the model's name, and this model has none; load it from a folder, or set "
            "pretrained(model).config._name_or_path"
        )


def _paths(model: nn.Module, hparams: Any) -> dict[str, Path]:
    """Where EasyEdit looks, by path of the module."""
    templates = getattr(hparams, "rewrite_module_tmps", None) or [hparams.rewrite_module_tmp]
    names = [template.format(layer) for template in templates for layer in hparams.layers]
    return {name: _path(model, hparams, name) for name in names}


def _texts(model: nn.Module, tok: Tokenizer, dataset: str, count: int) -> list[str]:
    texts = list(islice(text_source(dataset, model, tok), count))
    if len(texts) < count:
        raise DataError(f"it has {len(texts)} texts, but mom2_n_samples is {count}; lower it", dataset)
    return texts


def _path(model: nn.Module, hparams: Any, name: str) -> Path:
    """Where EasyEdit's ``layer_stats`` looks."""
    path = pretrained(model).config._name_or_path
    folder = path.replace("/", "_") if host_info().kind == "release" else path.rsplit("/")[-1]
    file = f"{name}_{hparams.mom2_dtype}_mom2_{hparams.mom2_n_samples}.npz"
    return Path(hparams.stats_dir) / folder / f"{hparams.mom2_dataset}_stats" / file


def _write(moment: Tensor, tokens: int, hparams: Any, path: Path) -> None:
    """Write a file by EasyEdit's own means."""
    stats = import_module(f"{PACKAGE}.util.runningstats")
    statistic = stats.SecondMoment()
    statistic.count, statistic.mom2 = tokens, (moment * tokens).to(getattr(torch, hparams.mom2_dtype))
    stats.save_cached_state(path, stats.CombinedStat(mom2=statistic), {"sample_size": hparams.mom2_n_samples})


def _holds(path: Path, moment: Tensor, tokens: int, hparams: Any) -> bool:
    """Whether a file holds this second moment."""
    with np.load(path, allow_pickle=False) as file:
        stored = file["mom2.mom2"]
        expected = (moment * tokens).to(getattr(torch, hparams.mom2_dtype)).numpy()
        return int(file["mom2.count"]) == tokens and np.array_equal(stored, expected)
