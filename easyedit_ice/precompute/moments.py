"""Factored second moments of a model's projections: from memory, from disk, or measured.

FastMEMIT (Gupta et al. 2025, arXiv 2506.04226) shows that ``dynamic_multiplier`` × d tokens are enough, where d is the
width of the edited projection's input, and the customary 100,000 texts are not needed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from torch import Tensor, nn

from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.baseline import as_first_seen, baseline_of
from easyedit_ice.model.pretrained import pretrained
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.corpora import TextSource, plain_texts, text_source
from easyedit_ice.precompute.factors import Factor, factored
from easyedit_ice.precompute.moment_store import Origin, load_moment, save_moment
from easyedit_ice.precompute.second_moments import longest_text, second_moments
from easyedit_ice.runtime.distributed import Share

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measuring:
    """What second moments are measured on; the names are those of the hyperparameters.

    Attributes:
        mom2_dataset: name of the text, or texts at hand.
        dynamic: whether the tokens are counted, ``dynamic_multiplier`` for each input of the projection, rather than
            the texts.
        dynamic_multiplier: tokens for each input of the projection.
        mom2_n_samples: how many texts, if not ``dynamic``.
        mom2_dtype: in which they are stored.
    """

    mom2_dataset: str | Iterable[Any] = "auto"
    dynamic: bool = True
    dynamic_multiplier: int = 10
    mom2_n_samples: int = 100_000
    mom2_dtype: str = "float64"

    def __post_init__(self) -> None:
        if not isinstance(self.mom2_dataset, str):
            object.__setattr__(self, "mom2_dataset", plain_texts(self.mom2_dataset))

    def tokens(self, width: int) -> int | None:
        """How many tokens for a projection of so many inputs; ``None`` for those of all texts."""
        return self.dynamic_multiplier * width if self.dynamic else None


def factors(
    model: nn.Module,
    tok: Tokenizer,
    names: Sequence[str],
    measuring: Measuring,
    *,
    weight: float,
    ridge: float,
    shrinkage: float = 0.0,
) -> dict[str, Factor]:
    """Factored second moments of some projections, weighted, and made safe to invert, as :func:`factored` says.

    Args:
        model: before any edit, if it was not seen before.
        tok: its tokenizer.
        names: paths of the projections.
        measuring: what C is measured on.
        weight: λ.
        ridge: ε.
        shrinkage: σ.

    Raises:
        DamagedFileError: a stored C is damaged.
        StatisticsError: A cannot be factored.
        DataError: there is no such text, or not enough of it.
    """
    cache = baseline_of(model).tables["factors"]
    keys = {name: (name, measuring, weight, ridge, shrinkage) for name in names}
    missing = [name for name in names if keys[name] not in cache]
    if missing:
        for name, (moment, tokens) in moments(model, tok, missing, measuring).items():
            cache[keys[name]] = factored(
                moment, weight=weight, ridge=ridge, shrinkage=shrinkage, name=name, tokens=tokens
            )
    return {name: cache[keys[name]] for name in names}


def moments(
    model: nn.Module, tok: Tokenizer, names: Sequence[str], measuring: Measuring, share: Share | None = None
) -> dict[str, tuple[Tensor, int]]:
    """Second moments, (d, d) in fp64, and the tokens they were measured on; what is not stored is measured in one pass.

    Args:
        model: before any edit.
        tok: its tokenizer.
        names: paths of the projections.
        measuring: what they are measured on.
        share: this process's share of the work, where several measure together.
    """
    source = text_source(measuring.mom2_dataset, model, tok)
    origins = {name: _origin(model, name, source, measuring) for name in names}
    by_name = {name: stored for name in names if (stored := load_moment(origins[name])) is not None}
    missing = [name for name in names if name not in by_name]
    keep = bool(missing) and as_first_seen(model)
    for name, moment, counted in _measured(model, tok, missing, source, measuring, share):
        if keep:
            _save(origins[name], moment, counted)
        by_name[name] = moment, counted
    return {name: by_name[name] for name in names}


def _save(origin: Origin, moment: Tensor, counted: int) -> None:
    try:
        save_moment(origin, moment, counted)
    except OSError as error:
        logger.warning("second moments cannot be kept for the next time: %s", error)


def _origin(model: nn.Module, name: str, source: TextSource, measuring: Measuring) -> Origin:
    width = ModelAnatomy(model).site(name).in_features
    counted = "" if measuring.dynamic else f" x {measuring.mom2_n_samples}"
    return Origin(
        model=str(pretrained(model).config._name_or_path),
        weights=baseline_of(model).weights,
        module=name,
        text=source.name,
        text_hash=source.fingerprint + counted,
        tokens=measuring.tokens(width) or 0,
        longest=longest_text(model),
        dtype=measuring.mom2_dtype,
    )


def _measured(
    model: nn.Module,
    tok: Tokenizer,
    names: Sequence[str],
    source: TextSource,
    measuring: Measuring,
    share: Share | None,
) -> Iterator[tuple[str, Tensor, int]]:
    """Names, moments and tokens; projections of one width share a pass."""
    anatomy = ModelAnatomy(model)
    by_width: dict[int, list[str]] = {}
    for name in names:
        by_width.setdefault(anatomy.site(name).in_features, []).append(name)
    for width, projections in by_width.items():
        logger.info("measuring second moments of %s on %s", ", ".join(projections), source.name)
        texts = source if measuring.dynamic else islice(source, measuring.mom2_n_samples)
        result = second_moments(model, tok, projections, texts, measuring.tokens(width), share)
        for name, moment in result.moments.items():
            yield name, moment, result.tokens
