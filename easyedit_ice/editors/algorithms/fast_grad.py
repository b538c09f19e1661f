"""FastGrad: closed-form editing with gradients as values, and changes priced by what they read and what they write.

Newton steps on the facts' log-odds (:mod:`easyedit_ice.editors.closed_form.newton`), each the cheapest change in the
metric of K-FAC that general text and the keys of earlier edits give (:mod:`easyedit_ice.editors.closed_form.metric`).
Gradients as values are UltraEdit's (arXiv 2505.14679), the metric on both sides CrispEdit's (arXiv 2602.15823).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from easyedit_ice.edit.hparams import setting
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.sections import other_default
from easyedit_ice.edit.subject_position import subject_in
from easyedit_ice.edit.temporary_weights import temporarily
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.closed_form.closed_form_memory import plan_steps
from easyedit_ice.editors.closed_form.metric import Metric, Pricing, general, metrics
from easyedit_ice.editors.closed_form.neighbour_rows import NeighbourSettings, neighbour_keys
from easyedit_ice.editors.closed_form.newton import Aim, Stepping, write_by_steps
from easyedit_ice.editors.closed_form.outcome import not_written, stated
from easyedit_ice.editors.closed_form.sensitivity import OutputSettings
from easyedit_ice.editors.closed_form.solver_settings import ClosedFormSettings, measuring_of, place_of, second_moments
from easyedit_ice.editors.gradient.objectives import fact_row
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.chat import asking_for
from easyedit_ice.text.endings import ends_answers
from easyedit_ice.text.rows import Row
from easyedit_ice.text.subjects import mentions


@dataclass
class FastGradHyperParams(NeighbourSettings, OutputSettings, ClosedFormSettings):
    """Settings of FastGrad."""

    gentler = "raise neighbour_weight or kept_weight, lower margin, or name later layers"
    stronger = "raise margin or num_steps"
    wider = "raise margin"
    writes_experts = False

    layers: list[int] | None = setting(
        None, "blocks to write to, from below, negative from the last; None for the later half"
    )
    mom2_shrinkage: float = setting(
        0.001, "σ: ridge on the second moment of what is read, in units of its mean diagonal", low=0
    )
    kept_weight: float = setting(
        0.001,
        "w: weight of each key of an earlier edit, against all of general text, where keep_edits is true",
        above=0,
    )
    neighbour_names: int = other_default(NeighbourSettings, "neighbour_names", 16)
    margin: float = setting(2.0, "log-odds of the whole target that an edit stops at: 2 is a probability of 0.88")
    num_steps: int = setting(40, "most steps for facts that are written together: long targets take many", low=1)
    most_change: float = setting(3.0, "most that one step raises log-odds by", above=0)
    solve_anew: bool = setting(
        False, "let each step solve for the whole change of the facts that are written together, and not add to it"
    )
    facts_together: int = setting(32, "facts of a batch that are written together, those of before kept", low=1)
    sweeps: int = setting(4, "most times that a batch of more facts is gone through, until all hold", low=1)
    append_eos: bool | None = setting(
        None, "write that the answer ends after the target; None to do so where the model ends its answers"
    )

    def usual_layers(self, count: int) -> list[int]:
        """The later half."""
        return list(range(count // 2, count))

    @property
    def pricing(self) -> Pricing:
        """How changes are priced."""
        return Pricing(
            measuring_of(self),
            self.mom2_shrinkage,
            self.kept_weight if self.keep_edits else 0.0,
            self.output_shrinkage if self.output_adjustment else None,
            self.mom2_adjustment,
            self.output_score,
        )

    @property
    def stepping(self) -> Stepping:
        """How facts are written."""
        return Stepping(
            self.margin,
            self.num_steps,
            self.most_change,
            self.facts_together,
            self.sweeps,
            self.kept_weight,
            self.solve_anew,
        )


def solve(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], hparams: FastGradHyperParams
) -> WeightUpdate:
    """Write all facts together.

    Raises:
        AnatomyError: the model has no such layers or projections.
        StatisticsError: the second moments are damaged, or cannot be inverted.
        DataError: there is no such text for them, or not enough of it.
    """
    return solve_by_steps(model, tok, requests, hparams)


def solve_by_steps(
    model: nn.Module,
    tok: Tokenizer,
    requests: Sequence[EditRequest],
    hparams: FastGradHyperParams,
    beside: Sequence[Sequence[Aim]] = (),
) -> WeightUpdate:
    """Find the update of FastGrad, or of what writes more than the facts by its steps.

    Args:
        model: any causal language model; the caller restores it.
        tok: its tokenizer.
        requests: facts.
        hparams: settings.
        beside: what each fact brings with it.
    """
    model.eval()
    before, names = stated(model, tok, requests), place_of(model, hparams).names
    rows = [fact_row(tok, request, _ends(model, tok, request, hparams)) for request in requests]
    places = [_places(tok, *pair) for pair in zip(requests, rows, strict=True)]
    prices = _beside_neighbours(model, tok, requests, hparams, metrics(model, tok, names, hparams.pricing))
    steps = write_by_steps(model, rows, places, prices, hparams.stepping, beside)
    update = WeightUpdate(steps.deltas, keys=steps.keys)
    with temporarily(update.targets(model)):
        after = stated(model, tok, requests)
    update.info |= {
        "algorithm": hparams.alg_name,
        "hparams": hparams.to_dict(),
        "facts": [[request.prompt, request.target_new] for request in requests],
        "course": {"steps": list(steps.steps), "log_odds": [round(value, 4) for value in steps.odds]},
        "target_nll": {"before": before.nll, "after": after.nll},
    }
    if said := not_written(requests, after):
        update.info["not_written"] = said
    return update


def prepare(model: nn.Module, tok: Tokenizer, hparams: FastGradHyperParams) -> None:
    """Do what is done once, on the model before any edit: the metric of general text."""
    model.eval()
    general(model, tok, place_of(model, hparams).names, hparams.pricing)
    if hparams.append_eos is None:
        ends_answers(model, tok, asking_for(tok, hparams.chat))


def _beside_neighbours(
    model: nn.Module,
    tok: Tokenizer,
    requests: Sequence[EditRequest],
    hparams: FastGradHyperParams,
    prices: Mapping[str, Metric],
) -> dict[str, Metric]:
    """The metrics with what is read of the facts' neighbours, which share the weight."""
    settings = hparams.section(NeighbourSettings)
    keys = neighbour_keys(model, tok, requests, settings, hparams.mom2_dataset, list(prices))
    if not keys:
        return dict(prices)
    return {
        name: metric.keeping(keys[name], hparams.neighbour_weight / len(keys[name])) for name, metric in prices.items()
    }


def _ends(model: nn.Module, tok: Tokenizer, request: EditRequest, hparams: FastGradHyperParams) -> bool:
    return ends_answers(model, tok, request.asking) if hparams.append_eos is None else hparams.append_eos


def _places(tok: Tokenizer, request: EditRequest, row: Row) -> list[int]:
    """Tokens whose keys later edits leave alone: the subject's last, and wherever one of the target is predicted."""
    first = len(row.ids) - row.span - 1
    places = set(range(first, len(row.ids) - 1))
    if request.subject and mentions(request.prompt, request.subject):
        places.add(min(subject_in(tok, request), first))
    return sorted(places)


ALGORITHM = Algorithm(
    name="FastGrad",
    hparams=FastGradHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan_steps,
    second_moments=second_moments,
    summary="gradients as values, in closed form: for long streams and large batches",
)
