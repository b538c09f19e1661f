"""Edits of tiny models whose bits are held: every algorithm as it is, and every branch of the gradient path."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from quick import CLOSED_FORM, UNPROTECTED
from quick import FEW_TEXTS as TEXTS

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

QUICK = {"num_steps": 3, "rank": 2}
STEP = QUICK | {"lr": 1e-2}
SVF = {"num_steps": 3, "lr": 0.5}
FEW_TOKENS = {"dynamic_multiplier": 3}
"""Second moments of as many tokens as were the default when the fixtures were made."""
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "LoRA-BF": ("LoRA-BF", QUICK),
    "LoRA-BF, sgd": (
        "LoRA-BF",
        QUICK | {"optimizer": "sgd", "lr": 0.5, "momentum": 0.5, "evenness": 1.5, "weight_decay": 0.01},
    ),
    "LoRA-BF, found on all projections": ("LoRA-BF", QUICK | {"target_modules": ["all"], "layers": [-1]}),
    "LoRA-BF, ranks and start of published GoRA": (
        "LoRA-BF",
        STEP | {"rank_allocation": "gora", "rank_min": 1, "rank_max": 5, "init": "gora"},
    ),
    "LoRA-BF, starting along keys": ("LoRA-BF", STEP | {"init": "keys", "append_eos": True}),
    "LoRA-BF, prefixes": ("LoRA-BF", STEP | {"random_prefixes": 2, "prefix_length": 4, "stop_nll": None}),
    "LoRA-BF, clamped": ("LoRA-BF", STEP | {"clamp": 1e-4, "lora_dropout": 0.3, "max_grad_norm": None}),
    "LoRA-BF, mini-batches": ("LoRA-BF", STEP | {"mini_batch_size": 2, "micro_batch_size": 1}),
    "LoRA-BF, little memory": ("LoRA-BF", STEP | {"activation_budget": 0.01, "gradient_checkpointing": True}),
    "LoRA-BF, locality": (
        "LoRA-BF",
        STEP | {"locality_samples": 4, "locality_length": 6, "locality_weight": 1.0, "neighbour_weight": 0.5},
    ),
    "LoRA-BF, bf16": ("LoRA-BF", STEP | {"mixed_precision": "bf16"}),
    "ICE-LoRA": ("ICE-LoRA", QUICK | TEXTS),
    "ICE-LoRA, unprotected": ("ICE-LoRA", STEP | TEXTS | UNPROTECTED | {"stop_kl": 0.5}),
    "ICE-LoRA, as the paper": (
        "ICE-LoRA",
        STEP
        | TEXTS
        | UNPROTECTED
        | {"teacher": "dynamic", "resample_every": 1, "context_nll_weight": 1.0, "top_k": 20}
        | {"temperature": 2.0, "context_sources": ["record", "model"], "free_about": ["subject", "anything"]},
    ),
    "ICE-LoRA, whole matrices": ("ICE-LoRA", STEP | TEXTS | UNPROTECTED | {"adapter": "dense"}),
    "AdaLoRA": ("AdaLoRA", QUICK),
    "AdaLoRA, schedule": (
        "AdaLoRA",
        QUICK | {"num_steps": 6, "lr": 1e-2, "orth_reg_weight": 0.01, "init_r": 5, "tinit": 1, "tfinal": 2},
    ),
    "AdaLoRA, along keys, in context": ("AdaLoRA", STEP | TEXTS | {"init": "keys", "objective": "ice"}),
    "DoRA": ("DoRA", QUICK),
    "QLoRA-BF": ("QLoRA-BF", QUICK | {"quantization_bit": None}),
    "GoRA": ("GoRA", QUICK),
    "GoRA, hard": ("GoRA", STEP | {"protection": "hard", "protected_energy": 0.8, "least_gradient": 0.9}),
    "GoRA, hard, without neighbours": ("GoRA", STEP | {"protection": "hard", "neighbour_softness": None}),
    "GoRA, few directions": ("GoRA", STEP | {"init": "zero", "memory_rank": 6, "protected_rank": 4, "softness": 0.01}),
    "SVF": ("SVF", {"num_steps": 3}),
    "SVF, bands": ("SVF", SVF | {"spectral_form": "banded", "off_diagonals": 2, "sum_normalised": True}),
    "SVF, randomised, top": (
        "SVF",
        SVF | {"spectral_form": "top", "off_diagonals": 7, "svd": "randomised", "svd_rank": 9},
    ),
    "SVF, in context": ("SVF", SVF | TEXTS | {"objective": "ice"}),
    "SVF, reinforced": ("SVF", SVF | {"objective": "reinforce", "answers": 3, "answer_length": 2, "reward": "tokens"}),
    "LocFT-BF": ("LocFT-BF", {"num_steps": 3}),
    "LocFT-BF, protected": ("LocFT-BF", {"num_steps": 3, "lr": 1e-2, "protection": "soft"}),
    "FastMEMIT": ("FastMEMIT", CLOSED_FORM | FEW_TOKENS),
    "FastMEMIT, found": (
        "FastMEMIT",
        FEW_TOKENS
        | {
            "layers": [0],
            "v_lr": 0.5,
            "v_stop_loss": 0.05,
            "v_num_grad_steps": 4,
            "clamp_norm_factor": 1,
            "context_template_length_params": [[4, 2]],
        },
    ),
    "FastEMMET": ("FastEMMET", CLOSED_FORM | FEW_TOKENS),
    "FastROME": ("FastROME", CLOSED_FORM | FEW_TOKENS),
    "FastICE": ("FastICE", FEW_TOKENS),
    "FastGrad": ("FastGrad", FEW_TOKENS | {"num_steps": 3, "neighbour_names": 0}),
}
"""Algorithm and settings, by a name."""
SHAPES_HELD = {"gpt2": SHAPES[0], "llama": SHAPES[2]}
"""GPT-2's Conv1D and Llama's Linear, in fp32."""
HELD = [(case, shape) for shape in SHAPES_HELD for case in CASES if shape == "gpt2" or case in ALGORITHMS]
"""What is held to its bits: everything on one, and every algorithm as it is on the other."""


def solved(case: str, shape: str, dtype: torch.dtype = torch.float32) -> WeightUpdate:
    """The update of a case on a tiny model, with the edit of another fact in it where something shall protect that."""
    algorithm, settings = CASES[case]
    model, kind = SHAPES_HELD[shape].build().to(dtype), ALGORITHMS[algorithm].hparams_class
    facts = FACTS[1:2] if algorithm == "FastROME" else FACTS[1:]
    hparams = kind.from_dict(settings)
    with one_thread():
        if algorithm in ("GoRA", "FastGrad"):
            solve(model, tokenizer(), FACTS[:1], hparams).commit(model)
        return solve(model, tokenizer(), facts, hparams)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums are taken in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def digest(update: WeightUpdate) -> str:
    """Hash of all bits of an update."""
    found = hashlib.sha256()
    for name, delta in sorted(update.deltas.items()):
        for part, tensor in sorted(delta.tensors().items()):
            found.update(f"{name}:{part}:{tuple(tensor.shape)}".encode())
            found.update(tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()


def sketch(update: WeightUpdate) -> dict[str, list[float]]:
    """Each delta applied to one vector: what is compared where other kernels round differently."""
    found = {}
    for name, delta in sorted(update.deltas.items()):
        matrix = delta.matrix().double()
        found[name] = (matrix @ torch.cos(torch.arange(matrix.shape[1], dtype=torch.float64)))[:8].tolist()
    return found


def machine() -> str:
    """Hash of some products and decompositions: alike where the kernels of the CPU are."""
    found = hashlib.sha256()
    with one_thread():
        for tensor in _computed():
            found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def _computed() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(96, 128, generator=generator), torch.randn(128, 64, generator=generator)
    return (
        a @ b,
        (a @ a.T).double() @ a.double(),
        torch.linalg.svd(a, full_matrices=False).S,
        torch.linalg.eigh((a.T @ a).double()).eigenvectors.abs(),
        torch.softmax(a, -1),
        torch.nn.functional.gelu(a, approximate="tanh"),
        torch.nn.functional.scaled_dot_product_attention(a[None, None, :, :32], a[None, None, :, :32], a[None, None]),
    )
