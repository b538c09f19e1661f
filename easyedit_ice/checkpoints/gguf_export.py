"""An edited model back to GGUF, for llama.cpp and what builds on it.

What the edit left alone is copied from the file the model was loaded from, byte for byte: metadata, tokenizer, tensors.
Of gates the file gets wider MLPs, with biases (:mod:`easyedit_ice.edit.wider_mlps`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from easyedit_ice.checkpoints.conversion import require_gguf
from easyedit_ice.checkpoints.gguf_files import GGUF_TYPES, GgufSource, GgufType
from easyedit_ice.checkpoints.gguf_layout import Place, added, architecture_of, places
from easyedit_ice.checkpoints.names import source_of
from easyedit_ice.edit.beside import gated_in
from easyedit_ice.edit.wider_mlps import refuse_unheld, widened
from easyedit_ice.errors import UpdateError
from easyedit_ice.model.activation_memory import FP32
from easyedit_ice.model.pretrained import pretrained
from easyedit_ice.model.side_branch import refuse_branches
from easyedit_ice.runtime.cache import made_once
from easyedit_ice.runtime.progress import waiting

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter

# Numbers of the metadata's general.file_type, by llama.cpp's enum llama_ftype.
_WITH_BIASES = "llama"
"""Type and architecture of models in whose MLPs llama.cpp reads biases, if the file has some."""
_FILE_TYPES: dict[GgufType, int] = {"F32": 0, "F16": 1, "BF16": 32, "Q8_0": 7}


def save_gguf(
    model: nn.Module, base: str | Path, path: str | Path, *, dtype: GgufType = "F16", whole: bool = False
) -> list[str]:
    """Write a model as GGUF, as it is now.

    Tensors whose numbers differ from the base's are written in ``dtype``, whatever changed them. Vectors are written in
    F32 always, as llama.cpp wants them.

    Args:
        model: edited, and loaded from ``base``.
        base: the ``.gguf`` file it was loaded from, or the name of a packaged model.
        path: of the new file; it must not exist.
        dtype: type of the matrices that are written; F32 keeps every bit of a model in fp32.
        whole: write all tensors so, not only those that changed. llama.cpp rounds what a packed matrix reads, so that
            a whole file answers as transformers does where the base does not.

    Returns:
        names of the model's parameters that were written, and not copied.

    Raises:
        UpdateError: the file exists, the base is no GGUF file or another model's, a weight has no place in it or
            does not fit the type; or what stands beside the weights is no unit of a Llama's MLP; no file is written.
        ModelPackageError: the package gguf is not installed, or the base's own.
    """
    if dtype not in GGUF_TYPES:
        raise UpdateError(f"the type is {dtype!r}; expected one of {', '.join(GGUF_TYPES)}")
    source = base_for(base, path)
    narrow = model if gated_in(model) else None
    if narrow is not None:
        refuse_gates(narrow)
        model = widened(narrow)
    refuse_branches(model, "a GGUF file")
    written: list[str] = []
    with waiting(f"writing {Path(path).name}"), source.file() as file:
        made_once(Path(path), partial(_write, model, narrow, file, dtype, whole, written))
    return written


def refuse_gates(model: nn.Module) -> None:
    """Refuse a model of whose gates no GGUF file is known to hold any, as :func:`save_gguf`, before any work is done.

    Raises:
        UpdateError: it is no Llama, or :func:`~easyedit_ice.edit.wider_mlps.refuse_unheld` refuses it.
    """
    refuse_unheld(model)
    kind = pretrained(model).config.model_type
    if kind != _WITH_BIASES:
        raise UpdateError(
            f"the model is of the type {kind}, and llama.cpp is known to read biases in MLPs of {_WITH_BIASES} alone; "
            "save a checkpoint of transformers, or edit by FastMEMIT"
        )


def base_for(base: str | Path, path: str | Path) -> GgufSource:
    """The base of a new file, if one can be written there; as :func:`save_gguf`, before any work is done."""
    if Path(path).exists():
        raise UpdateError(f"{path} exists, and is not written over; give another path")
    require_gguf("writing GGUF")
    source = source_of(str(base))
    if source is None:
        raise UpdateError(f"{base} is no GGUF file; give the .gguf file that the model was loaded from")
    return source


def _write(
    model: nn.Module,
    narrow: nn.Module | None,
    base: Path,
    dtype: GgufType,
    whole: bool,
    written: list[str],
    path: Path,
) -> None:
    from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter

    reader = GGUFReader(base)
    chosen = {place.tensor.name: place for place in places(model, reader, narrow) if place.changed() or whole}
    biases = {} if narrow is None else added(model, reader, narrow)
    writer = GGUFWriter(path, architecture_of(reader), endianess=reader.endianess)
    changed: dict[str, Any] = {"general.file_type": _FILE_TYPES[dtype]} if whole else {}
    if narrow is not None:
        changed[f"{_WITH_BIASES}.feed_forward_length"] = pretrained(model).config.intermediate_size
    try:
        _copy_metadata(reader, writer, changed)
        for tensor in reader.tensors:
            place = chosen.get(tensor.name)
            kind = tensor.tensor_type if place is None else _type_of(place, dtype)
            sizes = tuple(int(size) for size in reversed(tensor.shape)) if place is None else place.shape
            shape = _bytes_of(tensor.name, sizes, kind)
            writer.add_tensor_info(tensor.name, shape, np.dtype(np.uint8), math.prod(shape), kind)
        for name, bias in biases.items():
            shape = (FP32 * bias.numel(),)
            writer.add_tensor_info(name, shape, np.dtype(np.uint8), math.prod(shape), GGMLQuantizationType.F32)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in reader.tensors:
            place = chosen.get(tensor.name)
            writer.write_tensor_data(tensor.data if place is None else _packed(place, dtype))
        for bias in biases.values():
            writer.write_tensor_data(bias.detach().cpu().float().numpy())
    finally:
        writer.close()
    written.extend([*(place.name for place in chosen.values()), *biases])


def _copy_metadata(reader: GGUFReader, writer: GGUFWriter, changed: Mapping[str, Any]) -> None:
    """All but ``general.architecture``, which the writer has set; some with other values."""
    from gguf import GGUFValueType, Keys

    writer.data_alignment = reader.alignment
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == Keys.General.ARCHITECTURE:
            continue
        kind, inner = field.types[0], field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        value = changed.get(field.name, field.contents())
        if kind == GGUFValueType.ARRAY and not value:
            raise UpdateError(f"the base's metadata {field.name} is an empty list, which gguf does not write")
        writer.add_key_value(field.name, value, kind, inner)


def _type_of(place: Place, dtype: GgufType) -> GGMLQuantizationType:
    from gguf import GGMLQuantizationType

    return GGMLQuantizationType["F32" if place.parameter.ndim == 1 else dtype]


def _bytes_of(name: str, sizes: Sequence[int], kind: GGMLQuantizationType) -> tuple[int, ...]:
    from gguf import quant_shape_to_byte_shape

    try:
        return quant_shape_to_byte_shape(sizes, kind)
    except ValueError as error:
        raise UpdateError(f"{name} cannot be written as {kind.name} ({error}); choose F16") from error


def _packed(place: Place, dtype: GgufType) -> np.ndarray:
    """The model's numbers in the file's layout and type, rounded once."""
    from gguf import dequantize, quantize

    kind, values = _type_of(place, dtype), place.values()
    with np.errstate(over="ignore"):
        packed = quantize(values, kind)
    if not np.isfinite(dequantize(packed, kind)).all():
        raise UpdateError(f"{place.name} has values that {kind.name} cannot hold; choose F32")
    return np.ascontiguousarray(packed)
