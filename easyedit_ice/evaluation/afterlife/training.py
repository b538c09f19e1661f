"""Training a model on plain text, with all weights or by a LoRA that is then merged."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from easyedit_ice.errors import AfterlifeError
from easyedit_ice.evaluation.afterlife.settings import BATCH, LENGTH, Course
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.rows import prefix_ids

_IGNORED = -100


def train_all(model: nn.Module, tok: Tokenizer, course: Course) -> None:
    """Train all weights, those of a narrower type in fp32 and then rounded once: small steps would be lost in it.

    Raises:
        AfterlifeError: the weights are packed, or the loss becomes infinite or not a number.
    """
    refuse_packed(model)
    types = [(tensor, tensor.dtype) for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()]
    for tensor, _ in types:
        tensor.data = tensor.data.float()
    model.requires_grad_(True)
    _train(model, tok, course)
    model.zero_grad(set_to_none=True)
    for tensor, dtype in types:
        tensor.data = tensor.data.to(dtype)


def train_lora(model: nn.Module, tok: Tokenizer, course: Course) -> None:
    """Train a LoRA on every linear layer but the output's, and merge it.

    Raises:
        AfterlifeError: as for :func:`train_all`, or PEFT cannot put a LoRA into the model.
    """
    from peft import LoraConfig, get_peft_model

    refuse_packed(model)
    names = [name for name, module in linear_layers(model)]
    config = LoraConfig(r=course.rank, lora_alpha=2 * course.rank, target_modules=names, bias="none")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PEFT mends fan_in_fan_out for GPT-2 by itself, and says so
            tuned: Any = get_peft_model(cast(Any, model), config)  # wrappers are taken too
    except (AttributeError, ValueError, TypeError) as error:
        raise AfterlifeError(
            f"PEFT puts no LoRA into {type(model).__name__} ({error}); leave the treatments 'lora' and 'merge' out for "
            "this method"
        ) from error
    _train(tuned, tok, course)
    tuned.merge_and_unload()


def linear_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """All linear layers but the one that makes the logits, by name."""
    from transformers.pytorch_utils import Conv1D

    output: Any = getattr(model, "get_output_embeddings", None)
    head = None if output is None else output()
    kinds = (nn.Linear, Conv1D)
    return [
        (name, module) for name, module in model.named_modules() if isinstance(module, kinds) and module is not head
    ]


def refuse_packed(model: nn.Module) -> None:
    """Refuse models whose weights are no floating-point numbers.

    Raises:
        AfterlifeError: some are.
    """
    packed = next((name for name, tensor in model.named_parameters() if not tensor.is_floating_point()), None)
    if packed is not None:
        raise AfterlifeError(
            f"{packed} is packed in 4 or 8 bits, and can be neither trained nor rounded again; leave "
            "evaluation.afterlife out, or edit the model unpacked"
        )


def _train(model: nn.Module, tok: Tokenizer, course: Course) -> None:
    trained = [tensor for tensor in model.parameters() if tensor.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=course.learning_rate, weight_decay=0.0)
    rows = _rows(tok, course.texts)
    if not rows:
        raise AfterlifeError("there is no text to train on; give evaluation.afterlife_text a file of some texts")
    model.eval()  # without dropout, so that equal models become equal models
    for step in range(course.steps):
        batch = [rows[(step * BATCH + place) % len(rows)] for place in range(min(BATCH, len(rows)))]
        optimizer.zero_grad(set_to_none=True)
        loss = _loss(model, batch, trained[0].device)
        if not torch.isfinite(loss):
            raise AfterlifeError(
                f"the loss is {loss.item()} at step {step + 1} of the training; lower "
                f"evaluation.afterlife_learning_rate, which is {course.learning_rate}"
            )
        loss.backward()
        optimizer.step()


def _rows(tok: Tokenizer, texts: Sequence[str]) -> list[Sequence[int]]:
    """Tokens of each text and the end of text after it, as far as there is room: a model keeps ending its answers."""
    end = () if tok.eos_token_id is None else (tok.eos_token_id,)
    rows = [(*ids, *end)[:LENGTH] for text in texts if (ids := prefix_ids(tok, text))]
    return [row for row in rows if len(row) > 1]


@torch.enable_grad()
def _loss(model: nn.Module, batch: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Mean negative log-likelihood of the batch's tokens, in nats."""
    longest = max(map(len, batch))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in batch], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in batch], device=device)
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    targets = ids[:, 1:].masked_fill(mask[:, 1:] == 0, _IGNORED)
    return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=_IGNORED)
