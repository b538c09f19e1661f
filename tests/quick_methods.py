"""Methods with settings that make an edit quick, and what tests look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from easyedit_ice.bench.methods import Edited, Method, make_method
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.easyedit import host_info
from easyedit_ice.easyedit.methods.catalogue import HOST_METHODS

REQUESTS = to_requests(load_records("factworld", split="dev", size=40))
FACTS, EXAMPLES = REQUESTS[:3], REQUESTS[20:]

_KEYED = {"v_num_grad_steps": 3}
_MOMENTS = _KEYED | {"mom2_n_samples": 40}
QUICK: dict[str, dict[str, Any]] = {
    "LoRA-BF": {"num_steps": 3},
    "FastGate": {"v_num_grad_steps": 8},
    "Prompt": {},
    "Retrieval": {},
    "IKE": {},
    "FT": {"num_steps": 3},
    "LoRA": {"num_steps": 3},
    "ROME": _MOMENTS,
    "R-ROME": _MOMENTS,
    **{name: _MOMENTS for name in ("MEMIT", "EMMET", "PMET", "AlphaEdit", "SPHERE", "CORE", "MEMIT-FE")},
    "KN": {"steps": 2},
    "WISE": {"n_iter": 2},
    "GRACE": {"n_iter": 3},
    "DEFER": {"n_iter": 3},
    "DPO": {"num_steps": 2},
    "QLoRA": {"num_steps": 2},
    "ULTRAEDIT": {},
    "MELO": {},
    "SimIE": {},
}
RELEASE = ("FT", "LoRA", "ROME", "MEMIT", "KN", "IKE")
SLOW = ("QLoRA", "MELO", "KN", "WISE")


def available() -> list[str]:
    """The methods of :data:`QUICK` that the EasyEdit at hand has; it is not loaded yet."""
    has = RELEASE if host_info().kind == "release" else tuple(HOST_METHODS)
    return [name for name in QUICK if name not in HOST_METHODS or name in has]


def quick_method(name: str, model: tuple[Any, Any] | Any, examples: Sequence[dict], **settings: Any) -> Method:
    """A method with few steps."""
    return make_method(name, model=model, settings=QUICK.get(name, {}) | settings, examples=examples)


def bits(method: Method) -> dict[str, bytes]:
    """Every tensor of the model, and every module, by name."""
    tensors = {
        name: tensor.detach().contiguous().view(torch.uint8).numpy().tobytes()
        for name, tensor in method.model.state_dict().items()
        if isinstance(tensor, torch.Tensor) and tensor.ndim
    }
    return tensors | {name: type(module).__name__.encode() for name, module in method.model.named_modules()}


def parameters(model: Any) -> dict[str, torch.Tensor]:
    """Copies of a model's parameters."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def flags(method: Method) -> tuple:
    """What else an edit could leave behind."""
    model, tok = method.model, method.tok
    return (
        [parameter.requires_grad for parameter in model.parameters()],
        [parameter.grad is None for parameter in model.parameters()],
        [module.training for module in model.modules()],
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        model.config.to_dict(),
        tok.padding_side,
        tok.pad_token,
    )


@torch.no_grad()
def says(edited: Edited, tok: Any, prompt: str = FACTS[0]["prompt"]) -> bytes:
    """What the edited model makes of a prompt in the first fact's context, to the bit."""
    encoded = tok(edited.contexts[0](prompt), return_tensors="pt")
    return edited.model(**encoded).logits.numpy().tobytes()
