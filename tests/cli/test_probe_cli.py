"""The command that looks at a model before it is edited."""

from __future__ import annotations

import json

from easyedit_ice.cli import main


def test_the_embedded_model_is_looked_at_with_facts_of_its_world(capsys):
    assert main(["probe", "--size", "24"]) == 0
    shown = capsys.readouterr().out
    assert "of 24 facts" in shown
    assert "Imagine that {fact}." in shown
    assert "ICE-LoRA" in shown


def test_all_values_can_be_had_as_json(capsys):
    assert main(["probe", "--size", "24", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["facts"] == 24
    assert found["meaning"]["ICE-LoRA"]


def test_data_that_is_not_there_is_an_error_the_user_can_mend(capsys):
    assert main(["probe", "--data", "nowhere"]) == 2
    assert "DataError" in capsys.readouterr().err
