"""Two models edited in two threads: each edit is that of its seed, and the process's random state is nobody's."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from quick import ANY_CONSEQUENCES, CLOSED_FORM, FEW_TEXTS

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.runtime.randomness import drawing, generator_on, lent_to_libraries, process_state_kept
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.sampling import sample

QUICK = {"num_steps": 3, "rank": 2}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "low rank": ("LoRA-BF", QUICK),
    "dropout": ("LoRA-BF", QUICK | {"lora_dropout": 0.3}),
    "dropout, checkpointed": ("DoRA", QUICK | {"lora_dropout": 0.3, "gradient_checkpointing": True}),
    "adaptive": ("AdaLoRA", QUICK | {"num_steps": 6, "lr": 1e-2}),
    "texts": ("ICE-LoRA", QUICK | FEW_TEXTS),
    "answers": ("SVF", {"num_steps": 2, "objective": "reinforce", "answers": 2}),
    "randomised": ("SVF", {"num_steps": 2, "svd": "randomised", "svd_rank": 4}),
    "prefixes": ("FastMEMIT", CLOSED_FORM),
    "contexts": ("FastICE", {}),
    "gradients": ("FastGrad", {"num_steps": 2}),
    "consequences": ("ICE-Grad", ANY_CONSEQUENCES),
}
TOGETHER = 2


def _edits(algorithm: str, settings: dict[str, Any]) -> list[Callable[[], WeightUpdate]]:
    """Solves of several facts and seeds, each on a model of its own."""

    def of(seed: int) -> Callable[[], WeightUpdate]:
        hparams = ALGORITHMS[algorithm].hparams_class(**settings, seed=seed)
        return partial(solve, SHAPES[0].build(), copy.deepcopy(tokenizer()), [FACTS[seed]], hparams)

    return [of(seed) for seed in range(TOGETHER)]


def _tensors(update: WeightUpdate) -> dict[str, torch.Tensor]:
    return {f"{name}:{part}": t for name, delta in update.deltas.items() for part, t in delta.tensors().items()}


def _process_state() -> list[Any]:
    return [torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()]


@pytest.mark.parametrize("case", CASES)
def test_edits_made_at_one_time_are_those_made_one_after_the_other(case: str) -> None:
    expected, edits = [edit() for edit in _edits(*CASES[case])], _edits(*CASES[case])
    before, start = _process_state(), Barrier(TOGETHER)

    def begin_together(edit: Callable[[], WeightUpdate]) -> WeightUpdate:
        start.wait()
        return edit()

    with ThreadPoolExecutor(TOGETHER) as pool:
        found = list(pool.map(begin_together, edits))
    assert _process_state() == before
    for one, other in zip(expected, found, strict=True):
        tensors = _tensors(one)
        assert tensors.keys() == _tensors(other).keys()
        assert all(torch.equal(tensor, _tensors(other)[name]) for name, tensor in tensors.items())


def test_texts_are_drawn_as_transformers_draws_them() -> None:
    model, tok = SHAPES[0].build(), tokenizer()
    prefixes = [[5, 6, 7]] * 8
    ids = torch.tensor(prefixes)
    with process_state_kept(model):
        torch.manual_seed(3)
        settings = {"do_sample": True, "temperature": 0.7, "top_k": 5, "top_p": 1.0, "pad_token_id": 0}
        theirs = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, **settings)
    with drawing(3):
        ours = sample(model, tok, prefixes, length=6, temperature=0.7, top_k=5)
    for text, row in zip(ours, theirs[:, 3:].tolist(), strict=True):
        assert list(text) == row[: len(text)]
    assert len(set(ours)) > 1


def test_what_libraries_draw_goes_on_where_the_edit_has_come_to() -> None:
    model = SHAPES[0].build()
    torch_state = torch.get_rng_state()
    with drawing(3):
        first = torch.rand(2, generator=generator_on(torch.device("cpu")))
        with lent_to_libraries(model):
            second = torch.rand(2)
        third = torch.rand(2, generator=generator_on(torch.device("cpu")))
    alone = torch.Generator().manual_seed(3)
    assert torch.equal(torch.cat([first, second, third]), torch.cat([torch.rand(2, generator=alone) for _ in range(3)]))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert generator_on(torch.device("cpu")) is None
