"""Which tensor of a GGUF file holds which parameter of a model, and how its numbers lie there.

GGUF keeps some weights otherwise than transformers: Llama's queries and keys with their rows in another order, GPT-2's
matrices transposed, Gemma's norms with one added. transformers undoes that when it reads a file. Here its own code is
asked what it does to numbered elements, and the way back is the inverse of the answer, for any architecture whose
elements are only moved and shifted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from easyedit_ice.errors import LoadingError, UpdateError
from easyedit_ice.model.pretrained import pretrained

if TYPE_CHECKING:
    from gguf import GGUFReader
    from gguf.gguf_reader import ReaderTensor


def architecture_of(reader: GGUFReader) -> str:
    """The architecture that a file names.

    Raises:
        LoadingError: it names none.
    """
    field = reader.get_field("general.architecture")
    if field is None:
        raise LoadingError("the file has no general.architecture, which every GGUF file of a model has; get it anew")
    return str(field.contents())


@dataclass(frozen=True)
class Place:
    """One tensor of a file, and the parameter it holds.

    Attributes:
        tensor: as gguf reads it.
        name: of the parameter.
        parameter: of the model, in any floating type.
        reading: transformers' own way from the file's layout to the model's.
        grown: whether the parameter is larger than the tensor, with the same numbers at its beginning or others.
    """

    tensor: ReaderTensor
    name: str
    parameter: Tensor
    reading: Any
    grown: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """In the file that is to be written."""
        return tuple(self.parameter.shape) if self.grown else tuple(int(size) for size in reversed(self.tensor.shape))

    @cached_property
    def file_values(self) -> Tensor:
        """The file's numbers in the model's layout, fp32."""
        from gguf import dequantize

        return torch.from_numpy(np.array(self._read(dequantize(self.tensor.data, self.tensor.tensor_type))))

    def changed(self) -> bool:
        """Whether the model's numbers differ from the file's, both in the parameter's type.

        Raises:
            UpdateError: they are not equally many.
        """
        if self.grown:
            return True
        if self.file_values.shape != self.parameter.shape:
            raise UpdateError(
                f"{self.name} is {tuple(self.parameter.shape)}, but the file's {self.tensor.name} is "
                f"{tuple(self.file_values.shape)}; give the GGUF file that the model was loaded from"
            )
        now = self.parameter.detach().cpu()
        return not torch.equal(self.file_values.to(now.dtype), now)

    def values(self) -> np.ndarray:
        """The model's numbers in the file's layout, fp32.

        Raises:
            UpdateError: transformers does more to this tensor than to move and shift its elements.
        """
        numbers = self.parameter.detach().cpu().float().numpy()
        shape = self.shape
        numbered = np.arange(numbers.size, dtype=np.float64).reshape(shape)
        read = self._read(numbered)
        if read is numbered:
            return numbers
        shift = self._read(np.zeros_like(numbered)).flat[0]
        origin = (read - shift).astype(np.int64).ravel()
        if not np.array_equal(np.sort(origin), np.arange(numbers.size)):
            raise UpdateError(f"{self.name} lies in {self.tensor.name} in a way that is not known how to write")
        values = np.empty(numbers.size, dtype=np.float32)
        values[origin] = numbers.ravel() - np.float32(shift)
        return values.reshape(shape)

    def _read(self, values: np.ndarray) -> np.ndarray:
        weights: np.ndarray = self.reading.process(values, self.tensor.name, parsed_parameters={"tensors": {}}).weights
        return weights


def places(model: nn.Module, reader: GGUFReader, narrow: nn.Module | None = None) -> Iterator[Place]:
    """Every tensor of a file that holds a parameter of the model, in the file's order.

    Args:
        model: that was loaded from the file, or made wider since.
        reader: of the file.
        narrow: what the model was before it was made wider, with smaller parameters and fewer; ``None`` if it was not.

    Raises:
        UpdateError: the model has parameters that no tensor holds, or that are packed or not in memory.
    """
    from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor

    architecture = architecture_of(reader)
    processor: Any = TENSOR_PROCESSORS.get(architecture, TensorProcessor)
    reading = processor(config=pretrained(model).config.to_dict())
    names = names_by_tensor(model, architecture)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    sizes = {} if narrow is None else {name: parameter.shape for name, parameter in narrow.named_parameters()}
    result = [
        Place(
            tensor,
            names[tensor.name],
            parameter := parameters[names[tensor.name]],
            reading,
            sizes.get(names[tensor.name], parameter.shape) != parameter.shape,
        )
        for tensor in reader.tensors
        if names.get(tensor.name) in parameters
    ]
    biases = () if narrow is None else added(model, reader, narrow).values()
    held = {id(parameter) for parameter in (*(place.parameter for place in result), *biases)}
    _refuse("no tensor of the file", (name for name, parameter in parameters.items() if id(parameter) not in held))
    unreadable = (
        name for name, parameter in parameters.items() if parameter.is_meta or not parameter.is_floating_point()
    )
    _refuse("no plain numbers in memory", unreadable)
    yield from result


def added(model: nn.Module, reader: GGUFReader, narrow: nn.Module) -> dict[str, Tensor]:
    """Parameters of a model that it did not have before it was made wider, by the names of tensors for them."""
    had, parameters = dict(narrow.named_parameters()).keys(), dict(model.named_parameters())
    names = names_by_tensor(model, architecture_of(reader)).items()
    return {tensor: parameters[name] for tensor, name in names if name in parameters.keys() - had}


def names_by_tensor(model: nn.Module, architecture: str) -> dict[str, str]:
    """Parameter of each tensor, by gguf's own table of names; some are listed there without the model's outer name.

    Raises:
        UpdateError: the table has no such architecture.
    """
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    kind = next((kind for kind, name in MODEL_ARCH_NAMES.items() if name == architecture), None)
    if kind is None:
        raise UpdateError(f"the file's architecture is {architecture!r}, which the installed gguf does not know")
    table = get_tensor_name_map(kind, pretrained(model).config.get_text_config().num_hidden_layers)
    names = {}
    for name, _ in model.named_parameters(remove_duplicate=False):
        module, _, suffix = name.rpartition(".")
        if tensor := table.get_name(module) or table.get_name(module.partition(".")[2]):
            names[f"{tensor}.{suffix}"] = name
    return names


def _refuse(what: str, names: Iterable[str]) -> None:
    if listed := list(names):
        shown = ", ".join(listed[:5]) + (" and others" if len(listed) > 5 else "")
        raise UpdateError(
            f"{shown}: there is {what} for {'it' if len(listed) == 1 else 'them'}; give the model as it was loaded "
            "from this GGUF file, neither packed nor spread, and the file it was loaded from"
        )
