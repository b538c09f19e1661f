"""What a model is made of, read from its modules and never from its name.

A decoder is a list of blocks. In each block an attention part (the child whose ``forward`` takes an
``attention_mask``) and an MLP part (all the rest) hold projections, i.e. modules with a 2-D weight. The last
projection of a part that writes as many features as the model is wide, and reads no fewer, is its output projection:
the place where ROME, MEMIT and their kin write facts. (Projections that read less, such as those of Gemma 3n's
embeddings for each layer, are not the MLP.) Mixtures of experts keep theirs in parameters of three dimensions, or in
lists. Of the form that most share (:mod:`easyedit_ice.model.fused_experts`), what they write by is one projection for
:meth:`ModelAnatomy.select`; all else that structure names of a mixture is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, cast

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from easyedit_ice.errors import AnatomyError, did_you_mean
from easyedit_ice.model.blocks import context_length, find_blocks, mixtures, stream_width, takes_attention_mask
from easyedit_ice.model.fused_experts import WEIGHT as EXPERTS_WEIGHT
from easyedit_ice.model.fused_experts import is_fused
from easyedit_ice.model.pretrained import embedding_weight, pretrained, weight_of
from easyedit_ice.model.unusual_weights import refuse_adapter, refuse_foreign_packing, refuse_scaled

Part = Literal["attention", "mlp"]
Role = Literal["in", "out"]


@dataclass(frozen=True)
class Projection:
    """A module that maps ``in_features`` to ``out_features`` by a matrix, or fused experts that do so together.

    Attributes:
        name: its path in the model.
        module: the module itself.
        layer: index of its block.
        part: whether attention or the MLP holds it.
        role: whether it reads the residual stream (``in``) or writes to it (``out``).
        in_features: width of its input.
        out_features: width of its output.
        transposed: whether the weight is stored (in, out), as GPT-2's ``Conv1D`` does, and not (out, in).
        quantized: whether the weight is packed by bitsandbytes and cannot be written in place.
        experts: 1, or how many fused experts make the matrix (out, in), each a slice of ``in`` as wide as any other.
    """

    name: str
    module: nn.Module
    layer: int
    part: Part
    role: Role
    in_features: int
    out_features: int
    transposed: bool
    quantized: bool
    experts: int = 1

    @property
    def weight_name(self) -> str:
        """Name of the weight as a parameter of the model."""
        return f"{self.name}.{self._parameter}"

    @property
    def weight(self) -> Tensor:
        """The weight as it is stored."""
        weight: Tensor = getattr(self.module, self._parameter)
        return weight

    @property
    def size(self) -> int:
        """Elements of the matrix."""
        return self.in_features * self.out_features

    @property
    def moments_shape(self) -> tuple[int, ...]:
        """Of the second moment of what it reads: (in, in), or one for each expert."""
        width = self.in_features // self.experts
        return (width, width) if self.experts == 1 else (self.experts, width, width)

    def matrix(self) -> Tensor:
        """The weight as an (out, in) tensor in fp32, unpacked if bitsandbytes has packed it."""
        weight: Any = self.weight  # bitsandbytes' own kinds of parameters, where it is quantized
        if self.quantized and hasattr(weight, "SCB"):
            scales = cast("Any", self.module).state.SCB if weight.SCB is None else weight.SCB
            matrix: Tensor = weight.detach().float() * (scales.float() / 127)[:, None]
            return matrix
        if self.quantized:
            from bitsandbytes.functional import dequantize_4bit

            return dequantize_4bit(weight.detach(), weight.quant_state).float()
        return self.as_stored(weight.detach().float())

    def as_stored(self, matrix: Tensor) -> Tensor:
        """An (out, in) matrix in the orientation of the weight, or the weight as (out, in)."""
        if self.experts > 1 and matrix.ndim == 3:
            parts = matrix.mT if self.transposed else matrix
            return parts.transpose(0, 1).flatten(1)
        if self.experts > 1:
            parts = matrix.unflatten(1, (self.experts, -1)).transpose(0, 1)
            stored: Tensor = parts.mT if self.transposed else parts
            return stored
        return matrix.T if self.transposed else matrix

    @property
    def _parameter(self) -> str:
        return EXPERTS_WEIGHT if self.experts > 1 else "weight"


@dataclass(frozen=True)
class Mlp:
    """The MLP of a block as one module: it reads the residual stream, and writes to it.

    Attributes:
        name: its path in the model.
        module: the module itself.
        layer: index of its block.
        in_features: width of its input.
        out_features: width of its output.
    """

    name: str
    module: nn.Module
    layer: int
    in_features: int
    out_features: int

    part: ClassVar[Part] = "mlp"
    role: ClassVar[Role] = "out"
    quantized: ClassVar[bool] = False
    experts: ClassVar[int] = 1

    @property
    def size(self) -> int:
        """Elements of a matrix of its widths."""
        return self.in_features * self.out_features

    @property
    def moments_shape(self) -> tuple[int, ...]:
        """Of the second moment of what it reads."""
        return self.in_features, self.in_features


Site = Projection | Mlp
"""Where a change is."""


class ModelAnatomy:
    """Blocks, projections and context of a decoder-only transformers model.

    Args:
        model: any causal language model of transformers whose blocks are a ``ModuleList``.

    Raises:
        AnatomyError: no list of decoder blocks is found, or weights are packed by something else than bitsandbytes.
    """

    def __init__(self, model: nn.Module) -> None:
        refuse_foreign_packing(model)
        self.model = model
        self.blocks_name, self.blocks = find_blocks(model)

    @property
    def num_layers(self) -> int:
        """Number of decoder blocks."""
        return len(self.blocks)

    @property
    def hidden_size(self) -> int:
        """Width of the residual stream."""
        return stream_width(self.model)

    @property
    def context_length(self) -> int | None:
        """Positions the model can attend to, in tokens; ``None`` if its configuration sets no limit."""
        return context_length(self.model)

    @property
    def tied(self) -> bool:
        """Whether the output head shares its weight with the input embedding."""
        head = pretrained(self.model).get_output_embeddings()
        return head is not None and head.weight is embedding_weight(self.model)

    @cached_property
    def projections(self) -> tuple[Projection, ...]:
        """All projections of all blocks, in the order of the modules.

        Raises:
            AnatomyError: a weight is not the matrix by itself, or the model holds an adapter of peft's.
        """
        return tuple(
            projection
            for layer, block in enumerate(self.blocks)
            for projection in self._block_projections(layer, block)
        )

    @cached_property
    def fused(self) -> dict[int, Projection]:
        """By layer, what its fused experts write by, where it has such and no other experts."""
        experts = {layer: self._fused_experts(layer) for layer in self._experts}
        return {layer: projection for layer, projection in experts.items() if projection is not None}

    @cached_property
    def mlps(self) -> dict[int, Mlp]:
        """By layer, the module that holds the MLP's projections, where there is one, and no mixture of experts."""
        found = {}
        for layer in range(self.num_layers):
            inner = [p for p in self.projections if p.layer == layer and p.part == "mlp"]
            path = next((_parent(p.name) for p in inner if p.role == "out"), "")
            readers = [p for p in inner if p.role == "in" and _parent(p.name) == path]
            if layer not in self._experts and path != self.layer_name(layer) and readers:
                module = self.model.get_submodule(path)
                found[layer] = Mlp(path, module, layer, readers[0].in_features, self.hidden_size)
        return found

    def layer_name(self, layer: int) -> str:
        """Path of a block, such as ``transformer.h.3``."""
        return f"{self.blocks_name}.{layer}"

    def select(
        self,
        part: Part | None = None,
        role: Role | None = None,
        layers: Iterable[int] | None = None,
    ) -> tuple[Projection, ...]:
        """Projections of the given part, role and layers; negative layers count from the last.

        The ``"mlp"``'s ``"out"`` of a layer with fused experts is what these write by, without any shared expert.

        Raises:
            AnatomyError: a layer does not exist, nothing is left, or the MLP of a layer is a mixture of experts that is
                no such projection, or more of it is asked for.
        """
        if part == "mlp" and role == "out":
            return self._outputs(layers)
        choice = tuple(
            projection
            for projection in self._within(layers)
            if part in (None, projection.part) and role in (None, projection.role)
        )
        if part != "attention":
            self._refuse_experts(f"part={part!r}, role={role!r}", layers)
        return choice or self._refuse(f"part={part!r}, role={role!r}, layers={layers!r}")

    def match(self, patterns: Iterable[str], layers: Iterable[int] | None = None) -> tuple[Projection, ...]:
        """Projections by name, in the way of peft's ``target_modules``.

        Args:
            patterns: ``"mlp.out"``, ``"mlp.in"``, ``"attention.in"``, ``"attention.out"`` or ``"all"`` choose by
                structure; anything else must be the end of a module's path, such as ``"down_proj"``.
            layers: blocks to choose from; all by default.

        Raises:
            AnatomyError: a pattern or layer matches nothing, and the message lists what the model has; or a pattern
                means the MLP, by structure or by a bare name, and that of a layer is a mixture of experts.
        """
        pool = self._within(layers)
        chosen = set()
        for pattern in patterns:
            if pattern in ("all", "mlp.in", "mlp.out") or self._is_name_of_experts(pattern, layers):
                self._refuse_experts(repr(pattern), layers)
            matching = {p.name for p in pool if _matches(p, pattern)}
            if not matching:
                self._refuse(f"{pattern!r}")
            chosen |= matching
        return tuple(projection for projection in pool if projection.name in chosen)

    def projection(self, name: str) -> Projection:
        """The projection with this path.

        Raises:
            AnatomyError: there is none.
        """
        for projection in (*self.projections, *self.fused.values()):
            if projection.name == name:
                return projection
        return self._refuse(f"{name!r}")[0]

    def site(self, name: str) -> Site:
        """The projection, or the whole MLP, with this path.

        Raises:
            AnatomyError: there is none.
        """
        return next((mlp for mlp in self.mlps.values() if mlp.name == name), None) or self.projection(name)

    def layer_index(self, layer: int) -> int:
        """Index of a block that may be given from the last, as a negative number.

        Raises:
            AnatomyError: there is no such block.
        """
        if not -self.num_layers <= layer < self.num_layers:
            raise AnatomyError(
                f"layer {layer} does not exist; the model has {self.num_layers} layers, "
                f"so choose from 0 to {self.num_layers - 1}"
            )
        return layer % self.num_layers

    def _within(self, layers: Iterable[int] | None) -> tuple[Projection, ...]:
        """The projections of some layers, or of all."""
        wanted = None if layers is None else {self.layer_index(layer) for layer in layers}
        return tuple(p for p in self.projections if wanted is None or p.layer in wanted)

    def _outputs(self, layers: Iterable[int] | None) -> tuple[Projection, ...]:
        """The output projection of each layer's MLP."""
        wanted = range(self.num_layers) if layers is None else sorted({self.layer_index(layer) for layer in layers})
        self._refuse_experts("part='mlp', role='out'", [layer for layer in wanted if layer not in self.fused])
        dense = [p for p in self._within(wanted) if (p.part, p.role) == ("mlp", "out") and p.layer not in self.fused]
        fused = [self.fused[layer] for layer in wanted if layer in self.fused]
        choice = tuple(sorted([*dense, *fused], key=lambda projection: projection.layer))
        return choice or self._refuse(f"part='mlp', role='out', layers={layers!r}")

    def _fused_experts(self, layer: int) -> Projection | None:
        held = [(name, module) for name, module in self.blocks[layer].named_modules() if name and is_fused(module)]
        if len(held) != 1 or not self._experts[layer].startswith(f"{held[0][0]}."):
            return None
        ((name, module),) = held
        count, *sides = module.down_proj.shape
        out_features, inner = reversed(sides) if module.is_transposed else sides
        if count == 1 or out_features != self.hidden_size:
            return None
        return Projection(
            name=f"{self.layer_name(layer)}.{name}",
            module=module,
            layer=layer,
            part="mlp",
            role="out",
            in_features=count * inner,
            out_features=out_features,
            transposed=module.is_transposed,
            quantized=False,
            experts=count,
        )

    def _refuse(self, asked: str) -> tuple[Projection, ...]:
        kinds = sorted({re.sub(r"^.*?\.\d+\.", "", projection.name) for projection in self.projections})
        roles = sorted({f"{p.part}.{p.role}" for p in self.projections if p.part == "attention" or not self._experts})
        kind = type(self.model).__name__
        meant = did_you_mean(asked.strip("'\""), [*kinds, *roles])
        raise AnatomyError(
            f"no projection matches {asked}.{meant} Each of the {self.num_layers} layers of this {kind} has "
            f"{', '.join(kinds) or 'none'} (or choose {', '.join(map(repr, [*roles, 'all']))})"
        )

    def _is_name_of_experts(self, pattern: str, layers: Iterable[int] | None) -> bool:
        """Whether a name without a path, such as ``"down_proj"``, may mean experts, or what lies beside them."""
        wanted = range(self.num_layers) if layers is None else {self.layer_index(layer) for layer in layers}
        held = {layer: self._experts[layer] for layer in wanted if layer in self._experts}
        return "." not in pattern and (
            any(p.part == "mlp" and p.layer in held and _matches(p, pattern) for p in self.projections)
            or any(
                hasattr(self.blocks[layer].get_submodule(name.rpartition(".")[0]), pattern)
                for layer, name in held.items()
            )
        )

    def _refuse_experts(self, asked: str, layers: Iterable[int] | None) -> None:
        """Refuse to take part of a mixture of experts for its whole."""
        wanted = range(self.num_layers) if layers is None else sorted({self.layer_index(layer) for layer in layers})
        held = [(layer, self._experts[layer]) for layer in wanted if layer in self._experts]
        if held:
            layer, experts = held[0]
            dense = [str(layer) for layer in range(self.num_layers) if layer not in self._experts]
            raise AnatomyError(
                f"{asked} would take in the MLP of layer {layer}, a mixture of experts "
                f"({self.layer_name(layer)}.{experts}), whose experts are not projections of their own; "
                + ("FastMEMIT, FastROME and FastICE write to them; " if layer in self.fused else "")
                + (f"name layers without experts ({', '.join(dense)}), " if dense else "")
                + "name projections with what holds them ('shared_expert.down_proj'), or choose "
                "'attention.in' or 'attention.out' where the algorithm has target_modules, though attention holds few "
                "facts"
            )

    @cached_property
    def _experts(self) -> dict[int, str]:
        """What holds the experts of each layer that has some."""
        names = {layer: next(mixtures(block), None) for layer, block in enumerate(self.blocks)}
        return {layer: name for layer, name in names.items() if name is not None}

    def _block_projections(self, layer: int, block: nn.Module) -> list[Projection]:
        parts: dict[Part, list[tuple[str, nn.Module]]] = {"attention": [], "mlp": []}
        for child_name, child in block.named_children():
            part: Part = "attention" if takes_attention_mask(child) else "mlp"
            for name, module in child.named_modules(prefix=child_name):
                refuse_adapter(f"{self.layer_name(layer)}.{name}", module)
                if _features(module) is not None:
                    parts[part].append((name, module))
        outputs = {_last_writer(members, self.hidden_size) for members in parts.values()}
        return [
            self._describe(layer, part, "out" if name in outputs else "in", name, module)
            for part, members in parts.items()
            for name, module in members
        ]

    def _describe(self, layer: int, part: Part, role: Role, name: str, module: nn.Module) -> Projection:
        in_features, out_features = _features(module) or (0, 0)
        refuse_scaled(f"{self.layer_name(layer)}.{name}", module)
        return Projection(
            name=f"{self.layer_name(layer)}.{name}",
            module=module,
            layer=layer,
            part=part,
            role=role,
            in_features=in_features,
            out_features=out_features,
            transposed=isinstance(module, Conv1D),
            quantized=not weight_of(module).is_floating_point(),
        )


def _features(module: nn.Module) -> tuple[int, int] | None:
    """Input and output width of a projection; ``None`` for any other module."""
    if isinstance(module, Conv1D):
        return module.weight.shape[0], module.weight.shape[1]
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    return None


def _last_writer(members: list[tuple[str, nn.Module]], hidden_size: int) -> str | None:
    features = {name: _features(module) or (0, 0) for name, module in members}
    writers = [name for name, (_, outputs) in features.items() if outputs == hidden_size]
    wide = [name for name in writers if features[name][0] >= hidden_size]
    return next(reversed(wide or writers), None)


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _matches(projection: Projection, pattern: str) -> bool:
    return (
        pattern in ("all", f"{projection.part}.{projection.role}")
        or projection.name == pattern
        or projection.name.endswith(f".{pattern}")
    )
