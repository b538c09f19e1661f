"""LoRA-BF: fine-tuning of low-rank adapters, breadth-first.

L = CE(x* | q) + λ_loc · KL(p_0 ‖ p) on general text, over the factors of ΔW = (α/r) B A (Hu et al. 2021,
arXiv 2106.09685). This is the baseline of ICE-LoRA, which adds the in-context term, and the home of what both
share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from easyedit_ice.anatomy import ModelAnatomy
from easyedit_ice.hparams import EditHyperParams, setting
from easyedit_ice.requests import EditRequest
from easyedit_ice.training.adapters import LowRankAdapter
from easyedit_ice.training.loop import train
from easyedit_ice.training.objectives import FineTuning, Locality, Objective
from easyedit_ice.training.surroundings import general_texts, neighbour_texts
from easyedit_ice.updates import WeightUpdate


@dataclass
class LoraHyperParams(EditHyperParams):
    """Settings of LoRA-BF."""

    alg_name: str = setting("LoRA-BF", "name of the algorithm in the table")
    target_modules: list[str] = setting(
        ["mlp.out"],
        "projections that get an adapter: mlp.in, mlp.out, attention.in, attention.out, all, or ends of their names",
    )
    layers: list[int] | None = setting(None, "blocks that get adapters, negative from the last; None for all")
    rank: int = setting(16, "rank of each adapter", low=1)
    lora_alpha: float = setting(16.0, "the adapter's output is scaled by lora_alpha / rank", above=0)
    lora_dropout: float = setting(0.0, "dropout on the adapter's input while training", low=0, high=1)
    num_steps: int = setting(40, "most passes over the facts of a batch", low=1)
    lr: float = setting(5e-3, "learning rate of AdamW", above=0)
    weight_decay: float = setting(0.0, "weight decay of AdamW", low=0)
    max_grad_norm: float | None = setting(1.0, "gradients are scaled down to this norm", above=0)
    mini_batch_size: int = setting(16, "facts in one optimiser step", low=1)
    micro_batch_size: int = setting(4, "facts in one forward and backward pass; fewer take less memory", low=1)
    append_eos: bool = setting(True, "train the end of text after the target, so that generation stops there")
    stop_nll: float | None = setting(
        0.05,
        "a fact rests while its target's loss is below this, in nats per token; None for a fixed number of steps",
        above=0,
    )
    clamp: float | None = setting(None, "bound on the absolute value of every element of the weight change", above=0)
    locality_weight: float = setting(0.0, "weight of the divergence from the unedited model on general text", low=0)
    locality_samples: int = setting(32, "general texts the model writes for that", low=1)
    locality_length: int = setting(32, "their length in tokens", low=2)
    locality_rows: int = setting(8, "how many of them each step looks at", low=1)
    neighbour_weight: float = setting(
        0.0, "weight of the same divergence after the fact's prompt with other names in place of the subject", low=0
    )
    neighbour_names: int = setting(
        32, "names for that, from the general texts: those that the model is surest about", low=1
    )
    neighbour_length: int = setting(4, "tokens after each such prompt", low=1)
    neighbour_rows: int = setting(8, "how many of them each step looks at, for each fact", low=1)
    mixed_precision: str = setting("no", "type of the forward passes in training", choices=("no", "bf16"))
    gradient_checkpointing: bool = setting(False, "recompute activations in the backward pass to save memory")


def solve(model: nn.Module, tok: Any, requests: Sequence[EditRequest], hparams: LoraHyperParams) -> WeightUpdate:
    """Fine-tune adapters on all facts together.

    Raises:
        AnatomyError: ``target_modules`` or ``layers`` match nothing in the model.
        TrainingDivergedError: the loss is infinite or not a number.
    """
    return solve_low_rank(model, tok, requests, hparams, in_context=lambda adapter: [])


def solve_low_rank(
    model: nn.Module,
    tok: Any,
    requests: Sequence[EditRequest],
    hparams: LoraHyperParams,
    *,
    in_context: Callable[[LowRankAdapter], Sequence[Objective]],
    stop_below: dict[str, float] | None = None,
) -> WeightUpdate:
    """Train adapters on the target, on what ``in_context`` adds, and on locality; return their deltas.

    Args:
        model: any causal language model; the caller restores it.
        tok: its tokenizer.
        requests: the facts.
        hparams: settings of the adapters and of the training.
        in_context: makes further objectives once the adapter is in place.
        stop_below: bounds on their losses, besides ``stop_nll``.
    """
    torch.manual_seed(hparams.seed)
    model.eval()
    projections = ModelAnatomy(model).match(hparams.target_modules, hparams.layers)
    surroundings = _surroundings(model, tok, requests, hparams)
    adapter = LowRankAdapter(
        model, projections, rank=hparams.rank, alpha=hparams.lora_alpha, dropout=hparams.lora_dropout
    )
    objectives: list[Objective] = [
        FineTuning(tok, requests, append_eos=hparams.append_eos),
        *in_context(adapter),
        *surroundings,
    ]
    adapter.train(gradient_checkpointing=hparams.gradient_checkpointing)
    stops = {} if hparams.stop_nll is None else {FineTuning.name: hparams.stop_nll, **(stop_below or {})}
    course = train(
        model,
        adapter,
        objectives,
        len(requests),
        epochs=hparams.num_steps,
        lr=hparams.lr,
        weight_decay=hparams.weight_decay,
        max_grad_norm=hparams.max_grad_norm,
        mini_batch_size=hparams.mini_batch_size,
        micro_batch_size=hparams.micro_batch_size,
        stop_below=stops,
        clamp=hparams.clamp,
        autocast=_autocast(model, hparams.mixed_precision),
        seed=hparams.seed,
    )
    info = {
        "algorithm": hparams.alg_name,
        "hparams": hparams.to_dict(),
        "facts": [[request.prompt, request.target_new] for request in requests],
        "course": asdict(course),
    }
    return WeightUpdate(adapter.deltas(), info)


def _surroundings(
    model: nn.Module, tok: Any, requests: Sequence[EditRequest], hparams: LoraHyperParams
) -> list[Objective]:
    """What keeps text out of the edit's scope as it is."""
    if not hparams.locality_weight and not hparams.neighbour_weight:
        return []
    general = general_texts(model, tok, hparams.locality_samples, hparams.locality_length)
    found: list[Objective] = []
    if hparams.locality_weight:
        found.append(Locality({None: general}, weight=hparams.locality_weight, rows_per_step=hparams.locality_rows))
    if hparams.neighbour_weight:
        edited = {request.subject for request in requests if request.subject is not None}
        neighbours = {
            fact: neighbour_texts(
                model,
                tok,
                request,
                general,
                count=hparams.neighbour_names,
                length=hparams.neighbour_length,
                edited=edited,
            )
            for fact, request in enumerate(requests)
        }
        found.append(Locality(neighbours, weight=hparams.neighbour_weight, rows_per_step=hparams.neighbour_rows))
    return found


def _autocast(model: nn.Module, precision: str) -> Callable[[], AbstractContextManager]:
    if precision == "no":
        return nullcontext
    return partial(torch.autocast, model.get_input_embeddings().weight.device.type, torch.bfloat16)
