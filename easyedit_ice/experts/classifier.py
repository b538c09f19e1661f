"""An expert that tells which expert a question is for (Transformer², Sun et al. 2025, arXiv 2501.06252)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.svf import SVFHyperParams
from easyedit_ice.errors import ExpertError
from easyedit_ice.experts.dispatch_prompt import Wording
from easyedit_ice.experts.expert import Expert
from easyedit_ice.model.tokenizer import Tokenizer


def train_classifier(
    model: nn.Module,
    tok: Tokenizer,
    experts: Sequence[Expert],
    others: Sequence[str],
    hparams: SVFHyperParams,
    wording: Wording | None = None,
    name: str = "classifier",
) -> Expert:
    """Train an SVF expert to answer the dispatch question; the model is left exactly as it was.

    It is trained on the prompts of the experts' own facts, never on their targets; and on prompts that no expert is
    for. What it learns are kinds of prompts: to leave other subjects' questions of the same kind to the base, give some
    of them as well.

    Args:
        model: unedited.
        tok: its tokenizer.
        experts: to tell apart.
        others: prompts that the base shall answer.
        hparams: of the training, with ``objective: ft``.
        wording: of the question; the dispatcher's must be the same.
        name: of the expert.

    Raises:
        ExpertError: there are no other prompts, or the objective is another one.
    """
    if not others:
        raise ExpertError("there are no prompts that no expert is for; give some, or nothing is ever left to the base")
    if hparams.objective != "ft":
        raise ExpertError(f"objective is {hparams.objective!r}; labels are learned with objective: ft")
    labelling = wording or Wording()
    *labels, other = labelling.choices(experts)
    labelled = [
        (fact.prompt, label) for expert, label in zip(experts, labels, strict=True) for fact in expert.facts
    ] + [(prompt, other) for prompt in others]
    requests = EditRequest.prepare(
        {"prompt": labelling.asked(experts, prompt), "target_new": label} for prompt, label in dict(labelled).items()
    )
    return Expert.of(solve(model, tok, requests, hparams), model, name, requests, hparams)
