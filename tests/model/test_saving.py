"""An edited model is written, or refused before it is edited."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.edit.delta import LowRankDelta
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import UpdateError
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer

NAMES = [f"model.layers.{layer}.mlp.down_proj" for layer in range(2)]


def _update(*ranks: int) -> WeightUpdate:
    return WeightUpdate(
        {
            name: LowRankDelta(torch.ones(rank, 48), torch.ones(32, rank))
            for name, rank in zip(NAMES, ranks, strict=True)
        }
    )


def test_sampling_settings_of_a_model_that_does_not_sample_do_not_matter(tmp_path):
    model = SHAPES[2].build()
    model.generation_config.update(do_sample=False, temperature=0.6, top_p=0.9, early_stopping=True)
    settings = model.generation_config
    _update(1, 1).to_hf(model, tokenizer(), tmp_path)
    assert model.generation_config is settings
    assert (settings.temperature, settings.top_p) == (0.6, 0.9)
    saved, _ = load_model(EditHyperParams(model_name=str(tmp_path), device="cpu"))
    assert not torch.equal(saved.get_parameter(f"{NAMES[0]}.weight"), model.get_parameter(f"{NAMES[0]}.weight"))


def test_settings_that_contradict_each_other_are_refused_before_the_edit(tmp_path):
    model = SHAPES[2].build()
    model.generation_config.num_return_sequences = 3
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UpdateError, match=r"generation_config.*correct model\.generation_config"):
        _update(1, 1).to_hf(model, tokenizer(), tmp_path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not list(tmp_path.iterdir())


def test_a_file_is_not_taken_for_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UpdateError, match="is a file; give a folder"):
        _update(1, 1).to_hf(SHAPES[2].build(), tokenizer(), tmp_path / "file")


def test_a_projection_without_rank_is_left_out_of_an_adapter(tmp_path):
    from peft import PeftModel

    model, update = SHAPES[2].build(), _update(0, 2)
    update.to_peft(model, tmp_path)
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        tuned = PeftModel.from_pretrained(SHAPES[2].build(), str(tmp_path))(ids).logits
        update.commit(model)
        assert torch.allclose(tuned, model(ids).logits, atol=1e-4)
    with pytest.raises(UpdateError, match="no rank anywhere"):
        _update(0, 0).to_peft(SHAPES[2].build(), tmp_path)
