"""Settings given singly on the command line."""

from __future__ import annotations

import argparse

import pytest

from easyedit_ice.cli.command_settings import add_settings, settings_for
from easyedit_ice.edit.synonyms import usual_name
from easyedit_ice.editors.algorithms.gora import GoRAHyperParams
from easyedit_ice.errors import HyperParamsError


def _settings(*pairs: str, source: str | None = None) -> GoRAHyperParams:
    parser = argparse.ArgumentParser()
    add_settings(parser)
    given = [] if source is None else ["--hparams", source]
    arguments = parser.parse_args([*given, *(part for pair in pairs for part in ("--set", pair))])
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


@pytest.mark.parametrize("source", ["gpt2-factworld", "auto"])
@pytest.mark.parametrize(
    ("pair", "told"),
    [
        ("lr=abc", "lr is 'abc'; expected float"),
        ("rank=0", "rank is 0; expected at least 1"),
        ("protection=hrad", "expected one of none, hard, soft. Did you mean 'hard'?"),
        ("rnak=3", "has no setting 'rnak'. Did you mean 'rank'?"),
        ("layers=[1", "is not written as YAML has it"),
    ],
)
def test_a_bad_value_is_blamed_on_the_option_and_not_on_the_preset(source: str, pair: str, told: str) -> None:
    with pytest.raises(HyperParamsError) as caught:
        _settings(pair, source=source)
    assert str(caught.value).startswith(f"--set {pair}") and told in str(caught.value)
    assert ".yaml" not in str(caught.value)


def test_in_python_a_bad_setting_beside_a_preset_is_not_blamed_on_the_preset() -> None:
    with pytest.raises(HyperParamsError, match=r"^settings given singly: rank is 0"):
        GoRAHyperParams.from_hparams("gpt2-factworld", rank=0)


def test_settings_that_only_go_together_with_those_of_the_preset_are_taken() -> None:
    assert GoRAHyperParams.from_hparams("gpt2-factworld", rank=3).rank == 3
