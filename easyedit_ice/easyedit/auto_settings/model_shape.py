"""A model's shape as EasyEdit's settings tell it: paths of modules with ``{}`` for the block, and relative depth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from torch import nn

from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.anatomy import ModelAnatomy, Part, Projection, Role
from easyedit_ice.model.pretrained import pretrained

Kind = Literal["transposed", "plain", "gated"]
"""Weights stored (in, out), as GPT-2's; MLPs of two matrices, as GPT-J's; MLPs with a gate, as Llama's."""


class ModelShape:
    """Where the parts of a model lie, by its modules and never by its name.

    Args:
        anatomy: of the model, which may be on torch's meta device.

    Raises:
        AnatomyError: a block lacks attention or an MLP that writes to the residual stream, or there is no final norm.

    Attributes:
        depth: blocks.
        inner: width of what the MLP's output projection reads.
        kind: which of the models with published settings it is most like.
    """

    def __init__(self, anatomy: ModelAnatomy) -> None:
        self._anatomy = anatomy
        self.depth = anatomy.num_layers
        writer = anatomy.select("mlp", "out", [0])[0]
        self.inner = writer.in_features
        read = sum(projection.out_features for projection in anatomy.select("mlp", "in", [0]))
        self.kind: Kind = "transposed" if writer.transposed else "gated" if read > self.inner else "plain"

    @property
    def checkpoint(self) -> str:
        """Where the model was loaded from; empty if from nowhere."""
        return str(getattr(self._anatomy.model.config, "_name_or_path", ""))

    @property
    def block(self) -> str:
        """Template of a block."""
        return f"{self._anatomy.blocks_name}.{{}}"

    def projections(self, part: Part, role: Role) -> list[str]:
        """Templates of the projections of a part."""
        return [self._template(projection) for projection in self._anatomy.select(part, role, [0])]

    def writer(self, part: Part) -> str:
        """Template of the projection by which a part writes to the residual stream."""
        return self.projections(part, "out")[0]

    def module(self, part: Part) -> str:
        """Template of the module that holds a part's projections; its output projection, where the block holds them."""
        inside = [name.removeprefix(f"{self.block}.") for name in self.projections(part, "in")]
        inside.append(self.writer(part).removeprefix(f"{self.block}."))
        heads = {name.rpartition(".")[0].partition(".")[0] for name in inside}
        [common] = heads if len(heads) == 1 else [""]
        return f"{self.block}.{common}" if common else self.writer(part)

    @property
    def final_norm(self) -> str:
        """Path of the normalisation after the last block."""
        parent, _, _ = self._anatomy.blocks_name.rpartition(".")
        width = self._anatomy.hidden_size
        norms = [
            name
            for name, child in self._anatomy.model.get_submodule(parent).named_children()
            if getattr(getattr(child, "weight", None), "shape", None) == (width,)
        ]
        if not norms:
            raise AnatomyError(f"no normalisation was found beside {self._anatomy.blocks_name}; name ln_f_module")
        return ".".join(filter(None, (parent, norms[-1])))

    @property
    def head(self) -> str:
        """Path of the module whose weight yields the logits: the input embedding where both are one."""
        model = self._anatomy.model
        named = pretrained(model)
        module = named.get_input_embeddings() if self._anatomy.tied else named.get_output_embeddings()
        return _path(model, module)

    def layer(self, published: int, depth: int) -> int:
        """The block at the same relative depth as a published one of ``depth`` blocks; the first stays the first."""
        return round(published / (depth - 1) * (self.depth - 1))

    def layers(self, published: Iterable[int], depth: int) -> list[int]:
        """The blocks at the same relative depths, each once: a shallower model has fewer of them."""
        return sorted({self.layer(layer, depth) for layer in published})

    def attention_queries_and_values(self) -> list[str]:
        """Last names of the projections for queries and values; of all that attention reads by, where these are one."""
        names = [name.rpartition(".")[2] for name in self.projections("attention", "in")]
        return [name for name in names if name[0] in "qv" and len(names) > 1] or names

    def _template(self, projection: Projection) -> str:
        return f"{self.block}.{projection.name.removeprefix(self._anatomy.layer_name(projection.layer) + '.')}"


def _path(model: nn.Module, module: nn.Module) -> str:
    path: str = next(name for name, candidate in model.named_modules() if candidate is module)
    return path
