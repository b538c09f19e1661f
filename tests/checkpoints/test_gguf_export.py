"""Edited models go back to GGUF: what was edited as it is in the model, all else as it was in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader, quantize
from made_gguf import tiny_gemma, tiny_gpt2, write_gguf
from torch import nn

from easyedit_ice.checkpoints.gguf_export import save_gguf
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.edit.delta import Delta, DenseDelta, LowRankDelta, SpectralDelta
from easyedit_ice.edit.gated_delta import ANY_LENGTH, GatedDelta
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.edit.wider_mlps import widened
from easyedit_ice.errors import UpdateError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.capture import captured

EDITED = {
    "model.layers.0.mlp.down_proj": "blk.0.ffn_down.weight",
    "model.layers.0.mlp.gate_proj": "blk.0.ffn_gate.weight",
    "model.layers.1.mlp.up_proj": "blk.1.ffn_up.weight",
    "model.layers.1.self_attn.q_proj": "blk.1.attn_q.weight",
    "model.layers.1.self_attn.k_proj": "blk.1.attn_k.weight",
    "model.layers.0.self_attn.v_proj": "blk.0.attn_v.weight",
    "model.layers.0.self_attn.o_proj": "blk.0.attn_output.weight",
}
"""Projections of a Llama or Gemma, and their tensors in GGUF."""
TEXT = torch.tensor([[5, 9, 20, 31, 17, 4]])


def _load(name: Path) -> nn.Module:
    return load_model(EditHyperParams(model_name=str(name), device="cpu"))[0]


def _tensors(path: Path) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in GGUFReader(path).tensors}


def _low_rank(weight: torch.Tensor) -> Delta:
    return LowRankDelta(torch.randn(2, weight.shape[1]) * 0.1, torch.randn(weight.shape[0], 2) * 0.1)


def _dense(weight: torch.Tensor) -> Delta:
    return DenseDelta(torch.randn_like(weight) * 0.1)


def _spectral(weight: torch.Tensor) -> Delta:
    left, scales, right = torch.linalg.svd(weight.detach(), full_matrices=False)
    places = torch.arange(len(scales))
    return SpectralDelta(left, scales, right.T, places, places, torch.randn(len(scales)))


def _committed(model: nn.Module, make: Callable[[torch.Tensor], Delta], names: Any = EDITED) -> WeightUpdate:
    torch.manual_seed(1)
    update = WeightUpdate({name: make(model.get_submodule(name).weight) for name in names})
    update.commit(model)
    return update


@pytest.mark.parametrize("make", [_low_rank, _dense, _spectral])
def test_in_f32_the_file_loads_again_as_the_same_model(tiny_file: Path, tmp_path: Path, make) -> None:
    model = _load(tiny_file)
    update = _committed(model, make)
    written = save_gguf(model, tiny_file, tmp_path / "edited.gguf", dtype="F32")
    assert sorted(written) == sorted(f"{name}.weight" for name in EDITED)
    again = _load(tmp_path / "edited.gguf")
    assert all(torch.equal(own, again.get_parameter(name)) for name, own in model.named_parameters())
    update.revert(model)
    assert not torch.equal(model(torch.tensor([[1, 2, 3]])).logits, again(torch.tensor([[1, 2, 3]])).logits)


@pytest.mark.parametrize(("dtype", "error"), [("F16", 2**-11), ("BF16", 2**-8), ("Q8_0", 1 / 100)])
def test_other_types_round_what_was_edited_and_nothing_else(
    tiny_file: Path, tmp_path: Path, dtype, error: float
) -> None:
    model = _load(tiny_file)
    _committed(model, _dense)
    save_gguf(model, tiny_file, tmp_path / "edited.gguf", dtype=dtype)
    again = _load(tmp_path / "edited.gguf")
    for name, own in model.named_parameters():
        difference = (own - again.get_parameter(name)).abs().max()
        if name.removesuffix(".weight") in EDITED:
            assert 0 < difference <= error * own.abs().max()
        else:
            assert difference == 0
    tensors = _tensors(tmp_path / "edited.gguf")
    assert {tensors[name].tensor_type.name for name in EDITED.values()} == {dtype}


def test_all_else_is_copied_byte_for_byte(tiny_file: Path, tmp_path: Path) -> None:
    model = _load(tiny_file)
    _committed(model, _dense)
    save_gguf(model, tiny_file, tmp_path / "edited.gguf")
    before, after = GGUFReader(tiny_file), GGUFReader(tmp_path / "edited.gguf")
    first = before.tensors[0].field.offset
    assert tiny_file.read_bytes()[:first] == (tmp_path / "edited.gguf").read_bytes()[:first]
    assert [tensor.name for tensor in before.tensors] == [tensor.name for tensor in after.tensors]
    untouched = [
        pair for pair in zip(before.tensors, after.tensors, strict=True) if pair[0].name not in EDITED.values()
    ]
    assert len(untouched) == len(before.tensors) - len(EDITED)
    for one, two in untouched:
        assert one.tensor_type == two.tensor_type and one.data.tobytes() == two.data.tobytes()


def test_an_unedited_model_gives_the_same_file(tiny_file: Path, tmp_path: Path) -> None:
    assert save_gguf(_load(tiny_file), tiny_file, tmp_path / "same.gguf") == []
    assert (tmp_path / "same.gguf").read_bytes() == tiny_file.read_bytes()


def test_a_model_in_bfloat16_counts_only_what_was_edited(tiny_file: Path, tmp_path: Path) -> None:
    model = load_model(EditHyperParams(model_name=str(tiny_file), device="cpu", dtype="bfloat16"))[0]
    _committed(model, _dense, ["model.layers.0.mlp.down_proj"])
    assert save_gguf(model, tiny_file, tmp_path / "edited.gguf") == ["model.layers.0.mlp.down_proj.weight"]


@pytest.mark.parametrize("dtype", ["F32", "F16"])
def test_all_of_it_in_one_type(tiny_file: Path, tmp_path: Path, dtype) -> None:
    model = _load(tiny_file)
    save_gguf(model, tiny_file, tmp_path / "whole.gguf", dtype=dtype, whole=True)
    for name, tensor in _tensors(tmp_path / "whole.gguf").items():
        assert tensor.tensor_type.name == ("F32" if "norm" in name else dtype), name
    assert GGUFReader(tmp_path / "whole.gguf").get_field("general.file_type").contents() == {"F32": 0, "F16": 1}[dtype]
    again = _load(tmp_path / "whole.gguf")
    for name, own in model.named_parameters():
        assert torch.allclose(own, again.get_parameter(name), rtol=0 if dtype == "F32" else 2**-11, atol=1e-7)


def test_gpt2_keeps_its_matrices_the_other_way(tmp_path: Path) -> None:
    model = tiny_gpt2()
    base = write_gguf(model, tmp_path / "base.gguf", "F32")
    assert save_gguf(model, base, tmp_path / "same.gguf") == []
    names = ["transformer.h.0.mlp.c_proj", "transformer.h.1.attn.c_attn"]
    with torch.no_grad():
        for name in names:
            model.get_submodule(name).weight.add_(0.1)
    save_gguf(model, base, tmp_path / "edited.gguf", dtype="F32")
    assert (tmp_path / "edited.gguf").read_bytes() == write_gguf(model, tmp_path / "own.gguf", "F32").read_bytes()


def test_gemmas_norms_have_one_added(tmp_path: Path) -> None:
    model = tiny_gemma()
    base = write_gguf(model, tmp_path / "base.gguf", "F32")
    assert save_gguf(model, base, tmp_path / "same.gguf") == []
    with torch.no_grad():
        model.model.layers[1].post_feedforward_layernorm.weight.add_(0.25)
        model.model.layers[0].self_attn.q_proj.weight.add_(0.1)
    save_gguf(model, base, tmp_path / "edited.gguf", dtype="F32")
    assert (tmp_path / "edited.gguf").read_bytes() == write_gguf(model, tmp_path / "own.gguf", "F32").read_bytes()


def _gates(model: nn.Module) -> WeightUpdate:
    """Two gates beside an MLP, by tokens 2 and 4 of TEXT."""
    mlp = ModelAnatomy(model).mlps[1]
    with captured({"mlp": mlp.module}, "in") as states, torch.no_grad():
        model(TEXT)
    keys = states["mlp"].reshape(-1, mlp.in_features).float()[[2, 4]]
    ends = torch.tensor([0.8, 1.1])
    values = torch.randn(2, mlp.out_features, generator=torch.Generator().manual_seed(1)) * 3
    readers = keys / keys.square().sum(1, keepdim=True)
    return WeightUpdate({mlp.name: GatedDelta(readers, torch.full((2,), ANY_LENGTH), values, ends - 0.2, ends)})


def test_gates_are_units_of_wider_mlps_with_biases(tiny_file: Path, tmp_path: Path) -> None:
    """What is not of an MLP is copied byte for byte, and the numbers are those of the wider model."""
    model, path = _load(tiny_file), tmp_path / "edited.gguf"
    with _gates(model).applied(model):
        wide = widened(model)
        written = save_gguf(model, tiny_file, path, dtype="F32")
        after = model(TEXT).logits
    torch.testing.assert_close(_load(path)(TEXT).logits, after, atol=1e-2, rtol=1e-3)
    base, edited, reader = _tensors(tiny_file), _tensors(path), GGUFReader(path)
    width = wide.config.intermediate_size
    assert reader.get_field("llama.feed_forward_length").contents() == width
    assert len(written) == 2 * 3 * 2
    assert edited.keys() - base.keys() == {
        f"blk.{layer}.ffn_{kind}.bias" for layer in (0, 1) for kind in ("gate", "up", "down")
    }
    for name, tensor in base.items():
        if ".ffn_" not in name or "norm" in name:
            assert edited[name].data.tobytes() == tensor.data.tobytes()
    for kind in ("gate", "up", "down"):
        projection = wide.get_submodule(f"model.layers.1.mlp.{kind}_proj")
        for part in ("weight", "bias"):
            own = torch.from_numpy(np.array(edited[f"blk.1.ffn_{kind}.{part}"].data))
            assert torch.equal(own.reshape_as(getattr(projection, part)), getattr(projection, part))


def test_gates_that_llama_cpp_is_not_known_to_read_are_refused(tmp_path: Path) -> None:
    for model, words in ((tiny_gpt2(), "of the type gpt2, and llama"), (tiny_gemma(), "cannot be made units")):
        base = write_gguf(model, tmp_path / f"{model.config.model_type}.gguf", "F32")
        with _gates(model).applied(model):
            _refused(model, base, tmp_path / "edited.gguf", words)


def test_rows_of_queries_and_keys_lie_as_llama_cpp_wants_them(tiny_file: Path, tmp_path: Path) -> None:
    model = _load(tiny_file)
    _committed(model, _dense)
    save_gguf(model, tiny_file, tmp_path / "edited.gguf", dtype="F32", whole=True)
    expected = _tensors(write_gguf(model, tmp_path / "own.gguf", "F32"))
    for name, tensor in _tensors(tmp_path / "edited.gguf").items():
        assert tensor.data.tobytes() == expected[name].data.tobytes(), name


def test_q8_0_is_gguf_s_own(tiny_file: Path, tmp_path: Path) -> None:
    model = _load(tiny_file)
    _committed(model, _dense, ["model.layers.0.mlp.down_proj"])
    save_gguf(model, tiny_file, tmp_path / "edited.gguf", dtype="Q8_0")
    found = _tensors(tmp_path / "edited.gguf")["blk.0.ffn_down.weight"]
    weight = model.model.layers[0].mlp.down_proj.weight.detach().numpy()
    assert np.array_equal(found.data, quantize(weight, GGMLQuantizationType.Q8_0))


def _refused(model: nn.Module, base: Path, path: Path, words: str, **settings: Any) -> None:
    beside = set(path.parent.iterdir())
    with pytest.raises(UpdateError, match=words):
        save_gguf(model, base, path, **settings)
    assert set(path.parent.iterdir()) == beside


def test_no_file_is_written_over(tiny_file: Path, tmp_path: Path) -> None:
    model, taken = _load(tiny_file), tmp_path / "taken.gguf"
    taken.write_bytes(b"kept")
    for path in (taken, tiny_file):
        content = path.read_bytes()
        _refused(model, tiny_file, path, "exists, and is not written over")
        assert path.read_bytes() == content


def test_another_models_file_is_refused_by_name(tiny_file: Path, tmp_path: Path) -> None:
    base = write_gguf(tiny_gpt2(), tmp_path / "other.gguf")
    _refused(_load(tiny_file), base, tmp_path / "edited.gguf", r"model\.layers\.0\..* no tensor of the file")


def test_a_file_of_another_size_is_refused_by_name(tiny_file: Path, tmp_path: Path) -> None:
    model = _load(tiny_file)
    model.resize_token_embeddings(len(model.get_input_embeddings().weight) + 1)
    _refused(
        model, tiny_file, tmp_path / "edited.gguf", r"embed_tokens\.weight is .* but the file's token_embd\.weight"
    )


def test_a_weight_beyond_the_type_is_refused_by_name(tiny_file: Path, tmp_path: Path) -> None:
    model = _load(tiny_file)
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight[0, 0] = 1e6
    _refused(model, tiny_file, tmp_path / "edited.gguf", r"layers\.0\.mlp\.down_proj\.weight .* F16 cannot hold")


def test_what_is_no_gguf_is_refused(tiny_file: Path, tmp_path: Path) -> None:
    model = _load(tiny_file)
    _refused(model, Path("gpt2-factworld"), tmp_path / "edited.gguf", "is no GGUF file")
    _refused(model, tiny_file, tmp_path / "edited.gguf", "expected one of F32, F16, BF16, Q8_0", dtype="Q4_K")
