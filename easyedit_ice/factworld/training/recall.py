"""The figures of the model card, printed by ``easyedit-ice internals world measure``."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from easyedit_ice.factworld import model_path
from easyedit_ice.factworld.documents import END
from easyedit_ice.factworld.world_facts import default_world
from easyedit_ice.factworld.world_questions import (
    Question,
    after,
    context_questions,
    recall_questions,
    two_hop_questions,
)
from easyedit_ice.factworld.world_text import general_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_NEW_TOKENS = 24
_FRESH_TEXT_SEED = 10**6


def measure(model_dir: str | Path | None = None, *, share: float = 1.0, seed: int = 0) -> dict[str, Any]:
    """Measure a model of the world.

    An answer counts if greedy decoding gives exactly it and then ends.

    Args:
        model_dir: folder of the model; the shipped one by default.
        share: part of the questions that is asked, drawn by ``seed``.
        seed: of the questions that are drawn.

    Returns:
        ``recall``, ``aliases``, ``two_hop``, ``two_hop_seen``, ``context``: shares of right answers by group,
        with their mean and lowest; ``generation``: shares of free generations that end by themselves and are right;
        ``late_positions``, ``after_sentences``: recall after other text; ``perplexity`` on fresh text;
        ``questions``: how many were asked.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(model_dir) if model_dir is not None else model_path()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    world, rng = default_world(), random.Random(f"measure {seed}")

    def some(questions: Iterable[Question], at_most: int | None = None) -> list[Question]:
        pool = list(questions)
        wanted = max(1, round(share * min(len(pool), at_most or len(pool))))
        return rng.sample(pool, wanted)

    asked = {
        "recall": some(recall_questions(world)),
        "aliases": some(recall_questions(world, aliases=True)),
        "two_hop": some(two_hop_questions(world, rng)),
        "two_hop_seen": some(two_hop_questions(world, rng, practised=True), 1000),
        "context": some(context_questions(world, rng, count=800)),
        "late_positions": list(after(some(recall_questions(world), 300), rng, documents=24)),
        "after_sentences": list(after(some(recall_questions(world), 600), rng, documents=2, end=". ")),
    }
    figures: dict[str, Any] = {name: shares(model, tokenizer, group) for name, group in asked.items()}
    figures["generation"] = _generation(model, tokenizer, some(recall_questions(world), 400))
    figures["perplexity"] = _perplexity(model, tokenizer, round(share * 1000))
    figures["questions"] = {name: len(group) for name, group in asked.items()}
    return figures


def answered(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Sequence[Question]) -> list[bool]:
    """Whether greedy decoding gives each answer and then ends, by one forward pass over prompt and answer."""
    order = sorted(range(len(questions)), key=lambda index: len(questions[index].prompt))
    right = [False] * len(questions)
    for start in range(0, len(order), 64):
        chosen = order[start : start + 64]
        prompts = [tokenizer(questions[index].prompt)["input_ids"] for index in chosen]
        answers = [tokenizer(f" {questions[index].answer}{END}")["input_ids"] for index in chosen]
        width = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
        rows = [p + a for p, a in zip(prompts, answers, strict=True)]
        ids = torch.tensor([row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows])
        with torch.no_grad():
            best = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.argmax(-1)
        for row, (index, before, answer) in enumerate(zip(chosen, prompts, answers, strict=True)):
            first = len(before) - 1
            right[index] = best[row, first : first + len(answer)].tolist() == answer
    return right


def shares(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Sequence[Question]) -> dict[str, Any]:
    """Shares of right answers: their ``mean`` over questions, by ``groups``, and of the ``lowest`` group."""
    groups: dict[str, list[bool]] = defaultdict(list)
    verdicts = answered(model, tokenizer, questions)
    for question, right in zip(questions, verdicts, strict=True):
        groups[question.group].append(right)
    by_group = {group: sum(rights) / len(rights) for group, rights in sorted(groups.items())}
    return {"mean": sum(verdicts) / len(verdicts), "lowest": min(by_group.values()), "groups": by_group}


def _generation(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Sequence[Question]
) -> dict[str, float]:
    ended = right = 0
    for question in questions:
        ids = tokenizer(question.prompt, return_tensors="pt")
        written = cast("Any", model).generate(**ids, max_new_tokens=_NEW_TOKENS, do_sample=False)[0]
        text = tokenizer.decode(written[ids["input_ids"].shape[1] :])
        ended += str(text).endswith(END)
        right += text == f" {question.answer}{END}"
    return {"ended": ended / len(questions), "right": right / len(questions)}


def _perplexity(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, documents: int) -> float:
    """Per token, over true documents with their end mark, without the first token of each."""
    loss = count = 0.0
    for text in general_text(documents, seed=_FRESH_TEXT_SEED):
        ids = tokenizer(text + END, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        loss += torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="sum").item()
        count += ids.shape[1] - 1
    return math.exp(loss / count)
