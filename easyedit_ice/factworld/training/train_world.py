"""Training the embedded model: one command, resumable, the same data for the same seed."""

from __future__ import annotations

import json
import logging
import math
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from easyedit_ice.errors import DataError, HyperParamsError
from easyedit_ice.factworld.documents import text_of
from easyedit_ice.factworld.training.batches import Batch, Batches
from easyedit_ice.factworld.training.world_lessons import lesson_loss
from easyedit_ice.factworld.training.world_tokenizer import train_tokenizer
from easyedit_ice.factworld.world_facts import World
from easyedit_ice.factworld.world_text import Writer

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

ORIGIN = "training.json"


@dataclass(frozen=True)
class Recipe:
    """Size of the model and course of its training.

    The learning rate rises over ``warmup`` steps, stays, and falls to zero over the last ``decay`` share
    of the steps. ``lessons`` weighs what the hidden layers are taught beside the text.
    """

    layers: int = 6
    width: int = 192
    heads: int = 6
    positions: int = 512
    vocab_size: int = 2400
    tokenizer_documents: int = 30_000
    tokens_per_step: int = 2048
    learning_rate: float = 2e-3
    warmup: int = 50
    decay: float = 0.3
    weight_decay: float = 0.1
    lessons: float = 0.5

    def __post_init__(self) -> None:
        if self.layers < 4:
            raise HyperParamsError(f"layers is {self.layers}; give at least 4, since the lower half has two lessons")


@dataclass(frozen=True)
class Course:
    """What a training run is decided by, beside its text.

    Attributes:
        steps: optimiser steps in all.
        seed: of the data and of the initial weights.
        recipe: size and course of the training.
        source: whatever else tells this run from others, as in ``training.json``.
    """

    steps: int
    seed: int
    recipe: Recipe
    source: Mapping[str, Any]

    def origin(self) -> dict[str, Any]:
        """By which a checkpoint is known; its steps may differ."""
        return {"seed": self.seed, "recipe": asdict(self.recipe), **self.source}


def train(
    output_dir: str | Path,
    *,
    steps: int = 6500,
    seed: int = 0,
    resume: bool = True,
    recipe: Recipe | None = None,
    checkpoint_every: int = 250,
    stop_at: int | None = None,
) -> Path:
    """Train the world's model and save it in ``output_dir``, which then loads like any GPT-2.

    What it was trained with is written to ``training.json`` in the same folder.

    A run that was stopped goes on from its last checkpoint, and ends as if it had not been stopped.

    Args:
        output_dir: folder for the model; the checkpoint lies beside it, in ``<output_dir>.checkpoint``.
        steps: optimiser steps in all.
        seed: of the data and of the initial weights. The world itself is always the same.
        resume: whether to go on from a checkpoint if there is one; otherwise it is overwritten.
        recipe: size and course; the default is that of the shipped model.
        checkpoint_every: steps between checkpoints.
        stop_at: save a checkpoint and stop before this step, without saving a model.

    Raises:
        DataError: the checkpoint found is of another recipe or seed.
    """
    recipe, world = recipe or Recipe(), World()
    return fit(
        output_dir,
        _tokenizer_texts(world, recipe),
        lambda tokenizer: Batches(world, tokenizer, recipe.tokens_per_step, seed),
        Course(steps, seed, recipe, {}),
        resume=resume,
        checkpoint_every=checkpoint_every,
        stop_at=stop_at,
    )


def fit(
    output_dir: str | Path,
    texts: Iterable[str],
    batches: Callable[[PreTrainedTokenizerBase], Batches],
    course: Course,
    *,
    resume: bool = True,
    checkpoint_every: int = 250,
    stop_at: int | None = None,
) -> Path:
    """Train a new model on batches, and its tokenizer on texts; the rest is as in :func:`train`.

    Args:
        output_dir: folder for the model.
        texts: what the tokenizer is trained on.
        batches: makes the batches from the tokenizer.
        course: what else decides about the result.
        resume: as in :func:`train`.
        checkpoint_every: as in :func:`train`.
        stop_at: as in :func:`train`.

    Raises:
        DataError: the checkpoint found is of another course.
    """
    output, recipe, steps = Path(output_dir), course.recipe, course.steps
    state_path = output.with_name(f"{output.name}.checkpoint") / "state.pt"
    tokenizer = train_tokenizer(texts, recipe.vocab_size, output)
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(course.seed)
    model = _new_model(recipe, tokenizer)
    torch.random.set_rng_state(torch_state)
    optimisers = _optimisers(model, recipe)
    start = 0
    if resume and state_path.exists():
        start = _restore(state_path, model, optimisers, course)
        logger.info("resuming from step %d of %d (%s)", start, steps, state_path)

    drawn = batches(tokenizer)
    progress = tqdm(range(start, steps), initial=start, total=steps, unit="step", mininterval=5)
    for step in progress:
        if step == stop_at:
            _checkpoint(state_path, model, optimisers, step, course)
            return output
        if step > start and step % checkpoint_every == 0:
            _checkpoint(state_path, model, optimisers, step, course)
        rate = _learning_rate(step, steps, recipe)
        loss = _step(model, optimisers, drawn[step], rate, recipe.lessons)
        progress.set_postfix(loss=f"{loss:.3f}", refresh=False)
    model.eval().save_pretrained(output)
    (output / ORIGIN).write_text(json.dumps({"steps": steps, **course.origin()}, indent=1) + "\n", encoding="utf-8")
    return output


def _step(model: GPT2LMHeadModel, optimisers: Sequence[Optimizer], batch: Batch, rate: float, lessons: float) -> float:
    """One optimiser step; returns the loss of the text alone."""
    with torch.autocast("cpu", torch.bfloat16):
        output = model(
            input_ids=batch.tokens,
            position_ids=batch.positions,
            attention_mask=batch.mask,
            use_cache=False,
            output_hidden_states=True,
            output_attentions=True,
        )
        taught = lesson_loss(model, output, batch)
    losses = torch.nn.functional.cross_entropy(
        output.logits[:, :-1].flatten(0, 1).float(), batch.tokens[:, 1:].flatten(), reduction="none"
    )
    weights = batch.weights[:, 1:].flatten()
    loss = (losses * weights).sum() / weights.sum()
    (loss + lessons * taught).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
        optimiser.zero_grad()
    return loss.item()


def _optimisers(model: GPT2LMHeadModel, recipe: Recipe) -> tuple[Optimizer, ...]:
    """Muon for the matrices of the layers, AdamW for the rest."""
    matrices = [parameter for parameter in model.transformer.h.parameters() if parameter.ndim == 2]
    held = {id(parameter) for parameter in matrices}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in held]
    decay = recipe.weight_decay
    return (
        torch.optim.Muon(matrices, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, betas=(0.9, 0.95), weight_decay=decay, fused=True),
    )


def _learning_rate(step: int, steps: int, recipe: Recipe) -> float:
    rise = min(1.0, (step + 1) / recipe.warmup)
    fall = min(1.0, (steps - step) / math.ceil(recipe.decay * steps))
    return recipe.learning_rate * min(rise, fall)


def _new_model(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> GPT2LMHeadModel:
    from transformers import GPT2Config, GPT2LMHeadModel

    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=recipe.positions,
        n_embd=recipe.width,
        n_layer=recipe.layers,
        n_head=recipe.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    model: GPT2LMHeadModel = GPT2LMHeadModel(config).train()
    model.set_attn_implementation("eager")  # the quickest on a CPU for rows this short
    return model


def _tokenizer_texts(world: World, recipe: Recipe) -> list[str]:
    writer = Writer(world, random.Random("tokenizer"))
    return [
        text_of(writer.new_fact_document() if index % 8 == 0 else writer.true_document())
        for index in range(recipe.tokenizer_documents)
    ]


def _checkpoint(path: Path, model: GPT2LMHeadModel, optimisers: Sequence[Optimizer], step: int, course: Course) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    state: dict[str, Any] = {
        "model": model.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "step": step,
        "origin": course.origin(),
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def _restore(path: Path, model: GPT2LMHeadModel, optimisers: Sequence[Optimizer], course: Course) -> int:
    state = torch.load(path, weights_only=True)
    if state.get("origin") != course.origin():
        raise DataError(
            f"the checkpoint is of {state.get('origin')}, not {course.origin()}; train into another folder, or "
            "start anew with resume=False",
            path=str(path),
        )
    model.load_state_dict(state["model"])
    for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    return int(state["step"])
