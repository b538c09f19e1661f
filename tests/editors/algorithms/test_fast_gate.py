"""FastGate: facts with gates, which nothing but the fact's subject opens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from easyedit_ice import factworld
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.algorithms.fast_gate import FastGateHyperParams
from easyedit_ice.errors import HyperParamsError, UpdateError
from easyedit_ice.testing.cases import state
from easyedit_ice.text.likely_answers import answers_right
from easyedit_ice.text.rows import encode, predict

PRESET = FastGateHyperParams.from_hparams("FastGate/gpt2-factworld")
NAME = "transformer.h.2.mlp"


@pytest.fixture(scope="module")
def embedded() -> tuple:
    return factworld.load()


@pytest.fixture(scope="module")
def facts() -> list[dict]:
    return to_requests(load_records("factworld", split="dev").records[40:60])


@pytest.fixture(scope="module")
def batch(embedded, facts) -> WeightUpdate:
    return solve(*embedded, facts, PRESET)


def _asked(facts: list[dict], prompt: str = "prompt") -> list[tuple[str, str]]:
    return [(fact[prompt], fact["target_new"]) for fact in facts]


def _share(embedded: tuple, asked: list[tuple[str, str]]) -> float:
    right = answers_right(*embedded, asked)
    return sum(right) / len(right)


def _logits(embedded: tuple, texts: list[str]) -> torch.Tensor:
    model, tok = embedded
    with torch.no_grad():
        return torch.cat([model(**tok(text, return_tensors="pt")).logits[0, -1:] for text in texts])


def test_a_batch_is_written_in_other_words_too(embedded, facts, batch) -> None:
    before = state(embedded[0])
    with batch.applied(embedded[0]):
        assert _share(embedded, _asked(facts)) == 1
        assert _share(embedded, _asked(facts, "rephrase_prompt")) > 0.5
    assert state(embedded[0]) == before
    assert list(batch.deltas) == [NAME]


def test_other_subjects_are_left_alone_to_the_bit(embedded, facts, batch) -> None:
    """Nothing is added where no gate opens, however many facts there are."""
    others = to_requests(load_records("factworld", split="dev").records[100:140])
    texts = [fact["prompt"] for fact in others]
    before = _logits(embedded, texts)
    with batch.applied(embedded[0]):
        after = _logits(embedded, texts)
    same = (before == after).all(1)
    assert same.float().mean() > 0.8


def test_a_stream_keeps_all_of_its_facts(embedded, facts, batch) -> None:
    """They read the keys of the batch, since no edit changes what another one reads."""
    model, _ = embedded
    before, updates = state(model), []
    for fact in facts[:8]:
        updates.append(solve(*embedded, [fact], PRESET))
        updates[-1].commit(model)
    kept, rephrased = _share(embedded, _asked(facts[:8])), _share(embedded, _asked(facts[:8], "rephrase_prompt"))
    for update in reversed(updates):
        update.revert(model)
    assert kept == 1
    assert rephrased >= 0.5
    assert state(model) == before
    keys = torch.cat([update.keys[NAME] for update in updates])
    torch.testing.assert_close(keys, batch.keys[NAME][:8], atol=1e-4, rtol=1e-4)


def test_any_edit_of_a_stream_comes_out_again_and_leaves_the_others(embedded, facts) -> None:
    model, _ = embedded
    updates = [solve(*embedded, [fact], PRESET) for fact in facts[:3]]
    for update in updates:
        update.commit(model)
    updates[1].revert(model)
    texts = [fact["prompt"] for fact in facts[:3]]
    left = _logits(embedded, texts)
    updates[2].revert(model)
    updates[0].revert(model)
    for update in (updates[0], updates[2]):
        update.commit(model)
    assert torch.equal(_logits(embedded, texts), left)
    updates[2].revert(model)
    updates[0].revert(model)


def test_two_facts_of_one_subject_are_both_written(embedded, facts) -> None:
    """The second is sought with the first in force, in a batch as in a stream, and told from it as far as can be."""
    model, tok = embedded
    fact = facts[0]
    again = {**fact, "prompt": f"It is said that {fact['prompt']}", "target_new": facts[1]["target_new"]}
    update = solve(*embedded, [fact, again], PRESET)
    assert len(update.deltas[NAME].values) == 2
    with update.applied(model), torch.no_grad():
        first, second = (
            predict(model, [encode(tok, request["prompt"], f" {request['target_new']}")]).nll().item()
            for request in (fact, again)
        )
    assert max(first, second) < 0.5


def test_a_saved_update_is_the_same_and_no_adapter(embedded, facts, batch, tmp_path) -> None:
    model, _ = embedded
    with pytest.raises(UpdateError, match="or save for gated ones"):
        batch.to_peft(model, tmp_path / "peft")
    assert not list(tmp_path.iterdir())
    batch.save(tmp_path / "update")
    loaded = WeightUpdate.load(tmp_path / "update")
    texts = [fact["prompt"] for fact in facts]
    with batch.applied(model):
        edited = _logits(embedded, texts)
    with loaded.applied(model):
        assert torch.equal(_logits(embedded, texts), edited)


def test_a_checkpoint_is_a_plain_model_with_a_wider_mlp(embedded, facts, batch, tmp_path) -> None:
    """All facts are in it and nothing beside it, for whoever loads it with transformers alone."""
    model, tok = embedded
    before = state(model)
    batch.to_hf(model, tok, tmp_path / "hf")
    assert state(model) == before
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "hf").eval()
    assert loaded.config.n_inner == 832
    assert _share((loaded, tok), _asked(facts)) == 1
    others = [fact["prompt"] for fact in to_requests(load_records("factworld", split="dev").records[100:120])]
    with batch.applied(model):
        edited = _logits(embedded, others)
    torch.testing.assert_close(_logits((loaded, tok), others), edited, atol=1e-2, rtol=1e-3)


def test_a_projection_named_by_its_path_is_written_beside(embedded, facts) -> None:
    """It reads its own input, whose length differs from token to token, so that gates go by it."""
    named = PRESET.replace(rewrite_module_tmp="transformer.h.{}.mlp.c_proj")
    update = solve(*embedded, facts[:2], named)
    ((name, delta),) = update.deltas.items()
    assert name == "transformer.h.2.mlp.c_proj"
    assert delta.bounded
    with update.applied(embedded[0]):
        assert _share(embedded, _asked(facts[:2])) == 1


def test_the_example_of_its_page_runs(facts, batch, tmp_path, monkeypatch) -> None:
    page = (Path(__file__).parents[3] / "docs/fast_gate.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.S)
    batch.save(tmp_path / "edit")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(block.replace("smollm2-135m", "gpt2-factworld"), names)
    assert _share((names["model"], names["tok"]), _asked(facts)) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": [1, 2]}, r"layers is \[1, 2\]; FastGate writes to one block"),
        ({"gate_closed": 0.9}, "gate_closed is 0.9 and gate_open 0.85"),
        ({"gate_open": 1.5}, "gate_open"),
    ],
)
def test_settings_that_make_no_gate_are_refused(settings, message) -> None:
    with pytest.raises(HyperParamsError, match=message):
        FastGateHyperParams(**settings)
