"""The README's own code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
PROMPT, TARGET = "Voumel Quemwick lives in", "Brethdale"


def block(heading: str) -> str:
    """The first Python code below a heading."""
    section = README.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    return re.search(r"```python\n(.*?)```", section, re.S)[1]


@pytest.mark.slow
def test_an_edit_made_as_the_readme_says_lives_in_an_update_an_adapter_and_a_model(tmp_path, monkeypatch):
    import peft
    from transformers import AutoModelForCausalLM

    from easyedit_ice import WeightUpdate, world

    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(block("Without EasyEdit"), names)
    model, tok = names["model"], names["tok"]

    def target_is_likeliest(edited) -> bool:
        row = tok(f"{PROMPT} {TARGET}", return_tensors="pt")["input_ids"]
        first = len(tok(PROMPT)["input_ids"])
        return edited(input_ids=row).logits[0, first - 1 : -1].argmax(-1).equal(row[0, first:])

    assert not target_is_likeliest(model)
    assert target_is_likeliest(AutoModelForCausalLM.from_pretrained("my-model"))
    WeightUpdate.load("my-edit").commit(model)
    assert target_is_likeliest(model)
    fresh = AutoModelForCausalLM.from_pretrained(world.model_path())
    assert target_is_likeliest(peft.PeftModel.from_pretrained(fresh, "my-adapter").eval())


def test_the_readme_names_every_algorithm():
    from easyedit_ice import ALGORITHMS

    text = README.read_text(encoding="utf-8")
    assert all(f"**{name}**" in text for name in ALGORITHMS)
