"""Settings given singly on the command line."""

from __future__ import annotations

import argparse

import pytest

from easyedit_ice.cli.command_settings import add_settings, settings_for
from easyedit_ice.edit.synonyms import usual_name
from easyedit_ice.editors.algorithms.gora import GoRAHyperParams
from easyedit_ice.errors import HyperParamsError


def _settings(*pairs: str) -> GoRAHyperParams:
    parser = argparse.ArgumentParser()
    add_settings(parser)
    arguments = parser.parse_args([part for pair in pairs for part in ("--set", pair)])
    return settings_for(GoRAHyperParams, "any-model", arguments)


def test_names_from_elsewhere_are_taken_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    found = _settings("learning_rate=0.25", "epochs=7", "r=3", "alpha=8")

    assert (found.lr, found.num_steps, found.rank, found.lora_alpha) == (0.25, 7, 3, 8)
    assert "note: learning_rate is called lr here" in capsys.readouterr().err


def test_a_name_of_ours_is_taken_without_a_word_and_an_unknown_one_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _settings("lr=0.25").lr == 0.25
    assert capsys.readouterr().err == ""
    with pytest.raises(HyperParamsError, match="momentun"):
        _settings("momentun=0.25")


def test_a_name_that_is_known_is_never_changed() -> None:
    assert usual_name("alpha", {"alpha", "lora_alpha"}) == "alpha"
    assert usual_name("alpha", {"rank"}) == "alpha"
