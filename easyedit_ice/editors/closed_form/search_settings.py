"""Settings of the closed-form editors that seek values, with EasyEdit's names; and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from easyedit_ice.edit.hparams import setting
from easyedit_ice.edit.sections import other_default
from easyedit_ice.editors.closed_form.sensitivity import OutputSettings, cheapness
from easyedit_ice.editors.closed_form.solver_settings import (
    ClosedFormSettings,
    PassSettings,
    measuring_of,
    place_of,
)
from easyedit_ice.editors.closed_form.value_search import Search
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.prefixes import context_prefixes

_CLAMP = 4.0
"""Most that a value may move in a sweep, in norms of what the projection wrote, where nothing is said."""


@dataclass
class SearchSettings(OutputSettings, PassSettings, ClosedFormSettings):
    """How values are sought, besides where they are written."""

    fact_token: str = setting(
        "subject_last",
        "token at which a fact is looked up: the subject's last, or the next where that is the first of a text",
        choices=("subject_last",),
    )
    v_num_grad_steps: int = setting(25, "most evaluations of a value's loss", low=1)
    v_lr: float | None = setting(
        None, "learning rate of Adam for a value; None for steps by what the odds of the target lack", above=0
    )
    v_loss_layer: int | None = setting(None, "block from which a value's loss is read; None for the last")
    v_weight_decay: float = setting(0.0, "weight of a value's change in its loss", low=0)
    v_stop_loss: float = setting(0.02, "a value is found when its loss is below this, in nats", low=0)
    v_stop_lead: float | None = setting(
        None,
        "ENCORE: a value is found as well when every token of the target leads by so many nats in every context; None "
        "for the loss alone",
        low=0,
    )
    output_adjustment: bool = setting(
        False,
        "let each step of a value's search, where v_lr is None, be the one that general text's predictions depend on "
        "least; otherwise the shortest",
    )
    output_score: str = other_default(OutputSettings, "output_score", "odds")
    output_shrinkage: float = other_default(OutputSettings, "output_shrinkage", 0.1)
    natural_norm: bool = setting(False, "NAS: give what the value makes of the hidden state the norm that it had")
    clamp_norm_factor: float | None = setting(
        None,
        "bound on a value's change, in norms of what the block returned, or the projection wrote if a norm or factor "
        "stands between; None for four norms of what the projection wrote in each sweep",
        above=0,
    )
    kl_factor: float = setting(0.0625, "weight of the divergence of what follows the bare subject", low=0)
    context_template_length_params: list[list[int]] = setting(
        [[10, 5]], "texts of the model's own that facts are stated after: pairs of a length in tokens and how many"
    )
    context_seed: int = setting(0, "seed of these texts", low=0)

    def check(self) -> None:
        """Refuse texts of no length."""
        for pair in self.context_template_length_params:
            if len(pair) != 2 or min(pair) < 1:
                raise HyperParamsError(
                    f"context_template_length_params holds {pair}; expected [length in tokens, how many], both positive"
                )


def prefixes_of(model: nn.Module, tok: Tokenizer, hparams: SearchSettings) -> tuple[str, ...]:
    """Texts that facts are stated after, written once by the model as it was before any edit; the first is empty."""
    lengths = tuple(map(tuple, hparams.context_template_length_params))
    kept, wanted = baseline_of(model).tables["prefixes"], (lengths, hparams.context_seed)
    if wanted not in kept:
        kept[wanted] = context_prefixes(model, tok, lengths, hparams.context_seed)
    prefixes: tuple[str, ...] = kept[wanted]
    return prefixes


def search_of(
    model: nn.Module, tok: Tokenizer, hparams: SearchSettings, scale: Literal["block", "projection"] = "block"
) -> Search:
    """How values are sought.

    Args:
        model: before any edit, if it was not seen before.
        tok: its tokenizer.
        hparams: settings.
        scale: whose output's norm bounds a value where ``clamp_norm_factor`` is given: the ``"block"``'s, or the
            ``"projection"``'s.
    """
    last = None if hparams.v_loss_layer is None else ModelAnatomy(model).layer_index(hparams.v_loss_layer)
    return Search(
        num_grad_steps=hparams.v_num_grad_steps,
        lr=hparams.v_lr,
        weight_decay=hparams.v_weight_decay,
        kl_factor=hparams.kl_factor,
        clamp_norm_factor=_CLAMP if hparams.clamp_norm_factor is None else hparams.clamp_norm_factor,
        stop_loss=hparams.v_stop_loss,
        loss_layer=last,
        scale="projection" if hparams.clamp_norm_factor is None else scale,
        stop_lead=hparams.v_stop_lead,
        natural_norm=hparams.natural_norm,
        together=hparams.tokens_together,
        cheapness=prices_of(model, tok, hparams),
    )


def prices_of(model: nn.Module, tok: Tokenizer, hparams: SearchSettings) -> dict[str, Tensor]:
    """What the steps are priced by, if they are; measured before any edit, and kept with the model."""
    if not hparams.output_adjustment or hparams.v_lr is not None:
        return {}
    names, measuring = place_of(model, hparams).names, measuring_of(hparams)
    return cheapness(model, tok, names, measuring, hparams.output_score, hparams.output_shrinkage)
