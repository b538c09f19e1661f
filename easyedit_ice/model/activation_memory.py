"""What a training pass holds: bytes for each token, from the model's shapes alone.

The weights are frozen, and a frozen projection keeps nothing: the gradient of its input needs its weight and no
activation. A block keeps what its nonlinear parts read:

| part | kept for each token |
| --- | --- |
| norms | what they read, each as wide as its weight: LayerNorm in the model's type, others in fp32, as they work |
| attention | queries, keys, values and the mixed values, each as wide as all heads together |
| MLP | what the activation reads; of a gated one what it gives and what is multiplied by it as well |

Attention's weights are not kept: fused kernels compute them again in the backward pass (Dao et al. 2022, arXiv
2205.14135); the estimate holds for ``sdpa`` and ``flash_attention_2``, and for the short rows of an edit elsewhere.
A trained projection keeps its input in fp32. Blocks below the lowest that is trained keep nothing at all.

Shapes: d is the width of the residual stream, m the inner width of the MLP, e the bytes of an element.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from easyedit_ice.model.anatomy import ModelAnatomy, Projection, Site
from easyedit_ice.model.pretrained import embedding_weight, weight_of

FP32 = 4
MATCHED, TAUGHT = 3, 7
"""Arrays of the vocabulary's width in fp32 that a pass holds for each predicted token: log-probabilities, their copies
in the order of the terms, and gradients; where a teacher is matched, its distribution and products as well."""


@dataclass(frozen=True)
class Pass:
    """What one forward and backward pass reads.

    Attributes:
        tokens: that the student reads.
        matched: predicted tokens that are matched to those that stand there.
        taught: predicted tokens that are matched to a teacher's distribution.
    """

    tokens: int
    matched: int
    taught: int

    def __add__(self, other: Pass) -> Pass:
        """Both in one pass."""
        return Pass(self.tokens + other.tokens, self.matched + other.matched, self.taught + other.taught)

    def times(self, facts: int) -> Pass:
        """The same for several facts."""
        return Pass(self.tokens * facts, self.matched * facts, self.taught * facts)


def tokens_within(model: nn.Module, budget_bytes: float, *, checkpointed: bool, trained: Sequence[Site] = ()) -> int:
    """How many tokens one forward and backward pass may hold; at least one.

    Args:
        model: without an adapter; its weights are not read.
        budget_bytes: for the activations of the pass.
        checkpointed: whether blocks are computed again in the backward pass.
        trained: projections that are trained; without any, all blocks count.
    """
    return max(1, int(budget_bytes // bytes_per_token(model, trained, checkpointed=checkpointed)))


def bytes_per_token(model: nn.Module, trained: Sequence[Site] = (), *, checkpointed: bool) -> int:
    """Most bytes that a training pass holds for each token at once.

    What is kept, and as much as the widest block keeps once more, whose gradients are worked out. With checkpointing
    the d inputs of each block are kept, and of the widest block all.
    """
    anatomy = ModelAnatomy(model)
    blocks = [_block(anatomy, layer) for layer in _working(anatomy, trained)]
    widest = max(blocks, default=0)
    if checkpointed:
        return len(blocks) * anatomy.hidden_size * element_size(model) + 2 * widest
    return kept_per_token(model, trained) + widest


def kept_per_token(model: nn.Module, trained: Sequence[Site] = ()) -> int:
    """Bytes that a training pass keeps for each token until its backward pass: blocks, trained inputs, last norm."""
    anatomy = ModelAnatomy(model)
    blocks = sum(_block(anatomy, layer) for layer in _working(anatomy, trained))
    return blocks + _inputs(trained, element_size(model)) + FP32 * anatomy.hidden_size


def cache_per_token(model: nn.Module) -> int:
    """Bytes of keys and values for each token: 2 · key-value heads · their width · e, in all blocks.

    Attention's input projections write queries, keys and values; queries are as wide as what its output projection
    reads.
    """
    projections = [p for p in ModelAnatomy(model).projections if p.part == "attention"]
    written = sum(p.out_features for p in projections if p.role == "in")
    return element_size(model) * (written - sum(p.in_features for p in projections if p.role == "out"))


def logits_bytes(model: nn.Module, work: Pass) -> int:
    """v · fp32 · the arrays that are held for each predicted token."""
    return FP32 * vocabulary(model) * (MATCHED * work.matched + TAUGHT * work.taught)


def vocabulary(model: nn.Module) -> int:
    """Words that the model tells apart."""
    return embedding_weight(model).shape[0]


def element_size(model: nn.Module) -> int:
    """Bytes of an activation's element: those of the embedding, also where projections are packed."""
    return embedding_weight(model).element_size()


def _working(anatomy: ModelAnatomy, trained: Sequence[Site]) -> range:
    """Blocks that gradients pass through; through the lowest only if more than its last projection is trained."""
    if not trained:
        return range(anatomy.num_layers)
    lowest = min(projection.layer for projection in trained)
    parts = {(projection.part, projection.role) for projection in trained if projection.layer == lowest}
    return range(lowest + (parts == {("mlp", "out")}), anatomy.num_layers)


def _block(anatomy: ModelAnatomy, layer: int) -> int:
    """Bytes that a block keeps for each token, without the inputs of its trained projections."""
    projections = [projection for projection in anatomy.projections if projection.layer == layer]
    width = element_size(anatomy.model)
    return _norms(anatomy.blocks[layer], width) + width * (_attention(projections) + _mlp(projections))


def _norms(block: nn.Module, width: int) -> int:
    """Σ over norms of d · e: they are the modules whose weight is a vector."""
    norms = [module for module in block.modules() if getattr(getattr(module, "weight", None), "ndim", 0) == 1]
    return sum(weight_of(norm).numel() * (width if isinstance(norm, nn.LayerNorm) else FP32) for norm in norms)


def _attention(projections: Sequence[Projection]) -> int:
    """Elements of queries, keys, values and mixed values: four times what the output projection reads."""
    return 4 * sum(p.in_features for p in projections if (p.part, p.role) == ("attention", "out"))


def _mlp(projections: Sequence[Projection]) -> int:
    """Elements that the MLP keeps: m, or 3 m if it is gated, when its input projections write 2 m together."""
    read = sum(p.out_features for p in projections if (p.part, p.role) == ("mlp", "in"))
    inner = sum(p.in_features for p in projections if (p.part, p.role) == ("mlp", "out"))
    return read + inner if read > inner else read


def _inputs(trained: Sequence[Site], width: int) -> int:
    """Bytes of the trained projections' inputs: in fp32 one for those that read the same, else a copy for each."""
    read = {(p.layer, p.part, p.role) if width == FP32 else p.name: p.in_features for p in trained}
    return FP32 * sum(read.values())
