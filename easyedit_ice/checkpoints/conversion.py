"""GGUF files as transformers checkpoints: made once, kept in the cache, and checked by hash when used again.

The weights are unpacked to float32, the same numbers that transformers computes with when it reads the file itself.
Read without being unpacked, a model counts as quantised: it can be neither saved nor trained.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyedit_ice.checkpoints.gguf_files import GgufSource, sha256_of
from easyedit_ice.checkpoints.gguf_layout import architecture_of, names_by_tensor
from easyedit_ice.checkpoints.gguf_positions import state_scaling
from easyedit_ice.errors import LoadingError, ModelPackageError
from easyedit_ice.runtime.cache import made_once
from easyedit_ice.runtime.progress import waiting
from easyedit_ice.runtime.store import Store

if TYPE_CHECKING:
    from gguf import GGUFReader
    from gguf.gguf_reader import ReaderField
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CONVERSIONS = Store(
    name="models",
    format="3",
    remedy="or run `easyedit-ice models --clear`, to have it made again",
    pattern="*/*",
)
"""All converted models, each a checkpoint of transformers in a folder that is called like the model."""
_NOTES = "conversion.json"
_LLAMA, _MLP_BIAS = "llama", "blk.0.ffn_gate.bias"
"""An architecture whose biases transformers 5.23 leaves out, and the first of those in MLPs."""


@dataclass(frozen=True)
class Conversion:
    """An entry of the cache.

    Attributes:
        folder: a checkpoint of transformers.
        name: of the model.
        sha256: of the GGUF file it was made from.
        size: of all of its files, in bytes.
    """

    folder: Path
    name: str
    sha256: str
    size: int


def folder_of(source: GgufSource) -> Path:
    """Where a file's conversion is kept. The folder is called like the model: names of presets follow from it."""
    digest = hashlib.sha256(f"{CONVERSIONS.format} {source.sha256}".encode()).hexdigest()
    return CONVERSIONS.folder / digest[:16] / source.name


def converted(source: GgufSource) -> Path:
    """The checkpoint, made unless it is there; of processes that make it at once, one is the first.

    Raises:
        LoadingError: the file cannot be converted.
        DamagedFileError: its conversion is not as it was written.
        ModelPackageError: the model's package is not installed, or that which reads GGUF.
    """
    folder = folder_of(source)
    if folder.exists():
        if (what := damage(folder)) is not None:
            raise CONVERSIONS.damaged(folder, what)
        return folder
    return made_once(folder, partial(_convert, source))


def damage(folder: Path) -> str | None:
    """What is wrong with a conversion; ``None`` if each file is as it was written."""
    try:
        hashes = _notes(folder)["files"]
        changed = [name for name, expected in hashes.items() if sha256_of(folder / name) != expected]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"cannot be read ({error})"
    return f"has other content than was written in {', '.join(changed)}" if changed else None


def conversions() -> Iterator[Conversion]:
    """All entries of the cache whose notes can be read."""
    for folder in CONVERSIONS.paths():
        try:
            sha256 = _notes(folder)["gguf"]
        except (OSError, ValueError, KeyError):
            continue
        yield Conversion(folder, folder.name, sha256, sum(file.stat().st_size for file in folder.iterdir()))


def require_gguf(what: str) -> None:
    """Refuse to go on without the package that reads GGUF.

    Raises:
        ModelPackageError: it is not installed.
    """
    if find_spec("gguf") is None:
        raise ModelPackageError(f"{what} needs the package gguf, which is not installed; run `pip install gguf`")


def _convert(source: GgufSource, folder: Path) -> None:
    require_gguf(f"{source.name!r} is a GGUF file, and to read it")
    with waiting(f"converting {source.name}, which is done once", aloud=True), source.file() as file:
        try:
            _write(file, folder)
        except LoadingError:
            raise
        # transformers and gguf meet unreadable files with whatever their parsing stumbles over.
        except Exception as error:
            raise LoadingError(
                f"{', '.join(map(str, source.locate()))} cannot be converted ({type(error).__name__}: {error}); give a "
                "whole GGUF file of a causal language model whose architecture transformers reads from GGUF"
            ) from error
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    notes = {"format": CONVERSIONS.format, "gguf": source.sha256, "name": source.name, "files": files}
    (folder / _NOTES).write_text(json.dumps(notes, indent=2), encoding="utf-8")


def _write(file: Path, folder: Path) -> None:
    import torch
    from gguf import GGUFReader
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    metadata = GGUFReader(file)
    loaded: Any = AutoModelForCausalLM.from_pretrained(  # a pair, by the last option
        file.parent,
        gguf_file=file.name,
        **_biased(file, metadata),
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
        output_loading_info=True,
    )
    model, loading = loaded
    if absent := sorted(loading["missing_keys"]):
        # transformers fills them with random numbers.
        raise LoadingError(
            f"{file.name} has no tensor that transformers takes for {', '.join(absent[:5])}"
            f"{' and others' if len(absent) > 5 else ''}; the file is of another architecture than it says, or a part"
        )
    _check_biases(model, metadata)
    tok = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    _check_borders(tok, metadata)
    state_scaling(model, metadata)
    _state_ends(model, metadata.get_field("tokenizer.ggml.eot_token_id"))
    _split_digits(tok, metadata.get_field("tokenizer.ggml.pre"))
    model.save_pretrained(folder)
    tok.save_pretrained(folder)


def _biased(file: Path, metadata: GGUFReader) -> dict[str, Any]:
    """A configuration for a Llama whose MLPs have biases, which transformers leaves out; of other files its own."""
    from transformers import AutoConfig

    if architecture_of(metadata) != _LLAMA or not any(tensor.name == _MLP_BIAS for tensor in metadata.tensors):
        return {}
    config: Any = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
    config.mlp_bias = True
    return {"config": config}


def _check_biases(model: PreTrainedModel, metadata: GGUFReader) -> None:
    """Refuse a Llama with biases elsewhere, which the model, as transformers makes it, has no place for.

    Raises:
        LoadingError: there are some.
    """
    if architecture_of(metadata) != _LLAMA:
        return
    held = names_by_tensor(model, _LLAMA)
    if left := [
        tensor.name for tensor in metadata.tensors if tensor.name.endswith(".bias") and tensor.name not in held
    ]:
        raise LoadingError(
            f"the file has {left[0]}{' and others' if len(left) > 1 else ''}, which transformers leaves out, so that "
            "the model would answer otherwise than the file; load the original checkpoint"
        )


def _check_borders(tok: PreTrainedTokenizerBase, metadata: GGUFReader) -> None:
    """Some versions of transformers take another token for the end of a text than the file, or leave out its beginning.

    Raises:
        LoadingError: this one does.
    """
    import transformers

    told = {name: metadata.get_field(f"tokenizer.ggml.{name}") for name in ("eos_token_id", "bos_token_id")}
    told = {name: None if field is None else field.contents() for name, field in told.items()}
    begins = metadata.get_field("tokenizer.ggml.add_bos_token")
    wrong = []
    if told["eos_token_id"] not in (None, tok.eos_token_id):
        wrong.append(f"ends texts with token {tok.eos_token_id}, and the file with {told['eos_token_id']}")
    if begins is not None and begins.contents() and tok("a").input_ids[:1] != [told["bos_token_id"]]:
        wrong.append(f"begins no text with token {told['bos_token_id']}, as the file says it should")
    if wrong:
        raise LoadingError(
            f"transformers {transformers.__version__} reads the file's tokenizer otherwise than it is: it "
            f"{', and '.join(wrong)}; use transformers 5.23, with which this was tested"
        )


def _state_ends(model: PreTrainedModel, turn: ReaderField | None) -> None:
    """Chat models may end a turn with another token than a text; generation stops at both."""
    end = model.generation_config.eos_token_id
    if isinstance(end, int) and turn is not None and turn.contents() != end:
        model.generation_config.eos_token_id = [end, turn.contents()]


def _split_digits(tok: PreTrainedTokenizerBase, splitting: ReaderField | None) -> None:
    """SmolLM's tokenizer sets each digit apart before all else; transformers does not know this way to split.

    It shows in blanks and line ends before numbers, which stay together.
    """
    from tokenizers import pre_tokenizers

    if splitting is not None and splitting.contents() == "smollm":
        backend = tok.backend_tokenizer
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, backend.pre_tokenizer])


def _notes(folder: Path) -> dict[str, Any]:
    notes: dict[str, Any] = json.loads((folder / _NOTES).read_text(encoding="utf-8"))
    return notes
