"""Training is resumable and leaves a folder that loads."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from easyedit_ice.errors import DataError, HyperParamsError
from easyedit_ice.factworld.documents import END, text_of
from easyedit_ice.factworld.training.batches import Batches
from easyedit_ice.factworld.training.train_world import Recipe, train
from easyedit_ice.factworld.training.world_tokenizer import train_tokenizer
from easyedit_ice.factworld.world_facts import default_world
from easyedit_ice.factworld.world_text import Writer

TINY = Recipe(
    layers=4, width=16, heads=2, vocab_size=600, tokenizer_documents=300, tokens_per_step=512, warmup=2
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("whole") / "gpt2-tiny", steps=12, recipe=TINY)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_a_stopped_run_ends_as_if_it_had_not_been_stopped(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gpt2-tiny"
    train(folder, steps=12, recipe=TINY, stop_at=7)
    assert not (folder / "model.safetensors").exists()
    train(folder, steps=12, recipe=TINY)
    whole, resumed = _weights(trained), _weights(folder)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_model_with_too_few_layers_for_its_lessons_is_refused() -> None:
    with pytest.raises(HyperParamsError, match="at least 4"):
        Recipe(layers=3)


def test_another_seed_gives_other_weights(trained: Path, tmp_path: Path) -> None:
    other = _weights(train(tmp_path / "gpt2-tiny", steps=1, seed=1, recipe=TINY))
    assert not torch.equal(other["transformer.wpe.weight"], _weights(trained)["transformer.wpe.weight"])


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "gpt2-tiny", steps=2, recipe=TINY, stop_at=1)
    with pytest.raises(DataError, match="resume=False"):
        train(tmp_path / "gpt2-tiny", steps=2, seed=1, recipe=TINY)


def test_training_leaves_the_global_random_state_alone(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    train(tmp_path / "gpt2-tiny", steps=1, recipe=TINY)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_documents_in_short_rows_see_only_themselves_and_count_from_zero(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["Ana lives in Ber. " * 9], 300, tmp_path)
    batch = Batches(default_world(), tokenizer, tokens=512, seed=0)[0]
    starts = (batch.positions == 0) & (batch.tokens != tokenizer.pad_token_id)
    row, start = [int(index) for index in starts.nonzero()[1]]
    visible = batch.mask[row, 0, start] == 0
    assert visible.sum() == 1
    assert visible[start]
    assert batch.weights[row, start] == 0


def test_tokens_of_spans_are_the_tokens_of_the_whole_text(tmp_path: Path) -> None:
    writer = Writer(default_world(), random.Random(0))
    documents = [writer.new_fact_document() for _ in range(100)] + [writer.true_document() for _ in range(100)]
    tokenizer = train_tokenizer(map(text_of, documents), 900, tmp_path)
    batches = Batches(default_world(), tokenizer, tokens=512, seed=0)
    for document in documents:
        encoded = batches.encode(document)
        assert encoded.tokens == tokenizer(text_of(document) + END)["input_ids"]
        assert len(encoded.weights) == len(encoded.tokens)
