"""Gates as further units of a model's MLPs, so that a plain checkpoint holds them.

A gate that opens from c to o is the difference of two ramps,

    g(s) = (relu(s - c) - relu(s - o)) / (o - c),

and f(λ z) / λ is nearly relu(z) for the activation f of most models (ReLU, GELU, SiLU) and a large λ. So a gate is two
units of the MLP that it stands beside: both read λ q, with biases -λ c and -λ o, and they write v / (λ (o - c)) and its
opposite. Where an MLP multiplies what two projections read, the second gives 1 there, by its bias. Every block gets as
many units, zeros in all but one, since a configuration has one width for all.

A unit for each fact, by gradient descent and in the last block, is T-Patcher's (Huang et al. 2023, arXiv 2301.09785).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.edit.beside import gated_in
from easyedit_ice.edit.gated_delta import GatedDelta
from easyedit_ice.errors import UpdateError
from easyedit_ice.model.anatomy import ModelAnatomy, Projection
from easyedit_ice.model.pretrained import pretrained

_SHARPNESS = 1024.0
"""λ: a power of two, that scales without rounding."""
_NEARLY = 0.01
"""Most that f(λ z) / λ may miss relu(z) by."""
_ALIGNED = 64
"""Widths are multiples of this, as kernels and formats of packed weights like them."""
_AS_LLAMA = {"qwen2": "use_sliding_window", "mistral": "sliding_window"}
"""Models that have no biases in their MLPs and are otherwise Llama's, unless the configuration has this."""


@dataclass(frozen=True)
class _Form:
    """Of an MLP whose units all have biases.

    Attributes:
        width: what the configuration calls the number of units.
        reads: the projection that is activated, and the one that multiplies it, if any.
        writes: the projection that writes.
        activation: the activation's module or function.
        biases: what the configuration calls whether there are biases; none where there always are.
    """

    width: str
    reads: tuple[str, ...]
    writes: str
    activation: str
    biases: str | None = None


_LLAMA = _Form("intermediate_size", ("gate_proj", "up_proj"), "down_proj", "act_fn", "mlp_bias")
_FORMS = {
    "llama": _LLAMA,
    **dict.fromkeys(_AS_LLAMA, _LLAMA),
    "gpt2": _Form("n_inner", ("c_fc",), "c_proj", "act"),
    "gpt_neo": _Form("intermediate_size", ("c_fc",), "c_proj", "act"),
    "gpt_neox": _Form("intermediate_size", ("dense_h_to_4h",), "dense_4h_to_h", "act"),
    "gptj": _Form("n_inner", ("fc_in",), "fc_out", "act"),
    "phi": _Form("intermediate_size", ("fc1",), "fc2", "activation_fn"),
}


def refuse_unheld(model: nn.Module) -> None:
    """Refuse a model whose gates no checkpoint would hold; of any gates, whether it has some now or not.

    Raises:
        UpdateError: its MLPs are of no form that is known, their units have no biases, or their activation is unlike
            relu; or weights are packed.
    """
    config, anatomy = pretrained(model).config, ModelAnatomy(model)
    kind, remedy = config.model_type, "save the update by WeightUpdate.save (--save), or edit by FastMEMIT"
    form = _FORMS.get(kind)
    if (
        form is None
        or not anatomy.mlps
        or any(not hasattr(mlp.module, form.activation) for mlp in anatomy.mlps.values())
    ):
        raise UpdateError(
            f"gates cannot be made units of the MLPs of {kind} models, but of {', '.join(_FORMS)}; {remedy}"
        )
    if kind in _AS_LLAMA and getattr(config, _AS_LLAMA[kind], None):
        raise UpdateError(
            f"the MLPs of {kind} have no biases, and with {_AS_LLAMA[kind]} it cannot be written as Llama; {remedy}"
        )
    if any(projection.quantized for projection in anatomy.projections):
        raise UpdateError(f"the model's weights are packed, and wider ones cannot be; {remedy}")
    z = torch.linspace(-1, 1, 2001)
    missed = (_activation(anatomy, form)(_SHARPNESS * z) / _SHARPNESS - z.relu()).abs().max().item()
    if not missed <= _NEARLY:
        raise UpdateError(f"the activation of this model's MLPs is unlike relu (by {missed:.2g}); {remedy}")


@torch.no_grad()
def widened(model: nn.Module) -> nn.Module:
    """A model that holds as units of its MLPs what stands beside those of another, to be saved; it shares what it can.

    Its logits are those of the other but for rounding and the corners of the gates, where f misses relu.

    Args:
        model: with gates beside whole MLPs; it is left as it is.

    Raises:
        UpdateError: as :func:`refuse_unheld`; or gates stand beside other modules, or go by the input's length.
    """
    refuse_unheld(model)
    anatomy, gates = ModelAnatomy(model), {path: GatedDelta.total(deltas) for path, deltas in gated_in(model).items()}
    mlps = {mlp.name: mlp for mlp in anatomy.mlps.values()}
    if strange := [path for path, delta in gates.items() if path not in mlps or delta.bounded]:
        raise UpdateError(
            f"what stands beside {strange[0]} is no unit of an MLP: it reads something else, or goes by its length; "
            "save the update by WeightUpdate.save, or make the edit anew"
        )
    form, given = _FORMS[pretrained(model).config.model_type], model.state_dict()
    writer = anatomy.projection(f"{next(iter(mlps))}.{form.writes}")
    wide = _empty(model, form, writer.in_features + 2 * max(len(delta.readers) for delta in gates.values()))
    tensors = {name: _padded(tensor, given.get(name), model) for name, tensor in wide.state_dict().items()}
    for path, delta in gates.items():
        _write(tensors, path, form, writer, delta)
    wide.load_state_dict(tensors, assign=True)
    written = pretrained(wide)
    written.tie_weights()
    written.generation_config = copy.deepcopy(pretrained(model).generation_config)
    return wide.eval()


def _activation(anatomy: ModelAnatomy, form: _Form) -> Any:
    return getattr(next(iter(anatomy.mlps.values())).module, form.activation)


def _empty(model: nn.Module, form: _Form, width: int) -> nn.Module:
    """A model of the same kind with wider MLPs, and biases in them, without tensors."""
    config = copy.deepcopy(pretrained(model).config)
    kind: Any = type(model)
    if config.model_type in _AS_LLAMA:
        from transformers import LlamaConfig, LlamaForCausalLM

        known, held = LlamaConfig().to_dict(), config.to_dict()
        named = ("architectures", "model_type", "transformers_version")
        shared = {name: value for name, value in held.items() if name in known and name not in named}
        biased = any(name.endswith("q_proj.bias") for name in model.state_dict())
        config, kind = LlamaConfig(**{**shared, "attention_bias": biased}), LlamaForCausalLM
    setattr(config, form.width, -(-width // _ALIGNED) * _ALIGNED)
    if form.biases is not None:
        setattr(config, form.biases, True)
    with torch.device("meta"):
        empty: nn.Module = kind(config)
    return empty


def _padded(shaped: Tensor, given: Tensor | None, model: nn.Module) -> Tensor:
    """A tensor with zeros at its ends, or of nothing but zeros, in the shape of another."""
    if given is not None and given.shape == shaped.shape:
        return given
    like = next(model.parameters()) if given is None else given
    padded = torch.zeros(shaped.shape, dtype=like.dtype, device=like.device)
    if given is not None:
        padded[tuple(slice(size) for size in given.shape)] = given
    return padded


def _write(tensors: dict[str, Tensor], mlp: str, form: _Form, writer: Projection, delta: GatedDelta) -> None:
    """Make the gates beside an MLP units of it, after those that it has.

    Args:
        tensors: of the wider model, by name.
        mlp: path of the MLP.
        form: of it.
        writer: what an MLP of the narrower model writes by.
        delta: the gates.
    """
    units = slice(writer.in_features, writer.in_features + 2 * len(delta.readers))

    def put(projection: str, rows: Tensor) -> None:
        """Vectors (2 n, d) by which units read, or write."""
        weight = tensors[f"{mlp}.{projection}.weight"]
        by_unit = weight if writer.transposed == (projection == form.writes) else weight.T
        by_unit[units] = rows.to(weight)

    def bias(projection: str, values: Tensor) -> None:
        held = tensors[f"{mlp}.{projection}.bias"]
        held[units] = values.to(held)

    ramps = torch.cat([delta.closed, delta.open])
    slopes = delta.values / (_SHARPNESS * (delta.open - delta.closed))[:, None]
    put(form.reads[0], _SHARPNESS * torch.cat([delta.readers, delta.readers]))
    bias(form.reads[0], -_SHARPNESS * ramps)
    for projection in form.reads[1:]:
        bias(projection, torch.ones(len(ramps)))
    put(form.writes, torch.cat([slopes, -slopes]))
