"""A treatment of a model, and the way back from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn

from easyedit_ice.errors import AfterlifeError
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.interrupts import ending_with
from easyedit_ice.runtime.randomness import seeded


@dataclass(frozen=True)
class Treatment:
    """Something that happens to edited models.

    Attributes:
        name: as settings have it.
        what: what it is, for a report's reader.
        apply: does it to a model in place; its arguments are the model and its tokenizer.
    """

    name: str
    what: str
    apply: Callable[[nn.Module, Tokenizer], None]


@contextmanager
def treated(model: nn.Module, tok: Tokenizer, treatment: Treatment, seed: int = 0) -> Iterator[None]:
    """Within the block the model has been treated; after it, every bit of it is as it was, whatever happened.

    A copy of all weights is kept meanwhile, where the weights are.

    Raises:
        AfterlifeError: the treatment cannot be done to such a model, or leaves weights that are no numbers.
    """
    copies = [(tensor, tensor.detach().clone()) for tensor in (*model.parameters(), *model.buffers())]

    def bring_back() -> None:
        for tensor, value in copies:
            if tensor.dtype == value.dtype:
                tensor.data.copy_(value)
            else:
                tensor.data = value

    with preserved(model, tok), ending_with(bring_back):
        with seeded(seed, model):
            treatment.apply(model, tok)
        broken = next((name for name, tensor in model.named_parameters() if not tensor.isfinite().all()), None)
        if broken is not None:
            raise AfterlifeError(
                f"the treatment {treatment.name!r} left {broken} infinite or not a number; lower "
                "evaluation.afterlife_learning_rate or evaluation.afterlife_scale"
            )
        yield
