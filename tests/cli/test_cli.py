"""The command line, as it is typed."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import fields

import pytest

from easyedit_ice import ALGORITHMS
from easyedit_ice.cli import COMMANDS, main
from easyedit_ice.data import load_records
from easyedit_ice.easyedit.locate import HOME, PACKAGE
from easyedit_ice.errors import LoadingError

FACT = ["--prompt", "Faeso Faerkov has a job at", "--subject", "Faeso Faerkov", "--target", "Rinex Brothers"]
ICE = ["--algorithm", "ICE-LoRA"]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrapped."""
    monkeypatch.setenv("COLUMNS", "1000")


def refusal(arguments: list[str], capsys: pytest.CaptureFixture) -> str:
    """What stands on stderr after a command that the user can mend: one line, and nothing on stdout."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert "Traceback" not in printed.err
    assert len(printed.err.splitlines()) == 1
    return printed.err


def test_an_unknown_command_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit) as left:
        main(["edti"])
    assert left.value.code == 2
    message = capsys.readouterr().err
    assert all(command in message for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with suppress(SystemExit):
        assert main([command, "--help"]) == 0
    assert f"usage: easyedit-ice {command}" in capsys.readouterr().out


def test_hparams_lists_every_algorithm_with_its_presets(capsys):
    assert main(["hparams"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for spec in ALGORITHMS.values():
        line = next(line for line in lines if line.startswith(spec.name))
        assert spec.summary in line
        assert all(preset.partition("/")[2] in line for preset in spec.hparams_class.presets())


@pytest.mark.parametrize("name", ["ICE-LoRA", "LoRA-BF"])
def test_hparams_explains_every_setting(name, capsys):
    assert main(["hparams", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    for setting in fields(ALGORITHMS[name].hparams_class):
        line = next(line for line in lines if line.split(" ")[0] == setting.name)
        assert line.endswith(setting.metadata["help"])


def test_hparams_of_an_unknown_algorithm_suggests_the_nearest(capsys):
    assert "Did you mean 'ICE-LoRA'?" in refusal(["hparams", "ice-LoRA"], capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--prompt", "The capital is", "--target", " "], ["EmptyTextError", "target_new is ' '"]),
        ([*FACT, *ICE, "--hparams", "gpt2-factwrold"], ["HyperParamsError", "Did you mean 'ICE-LoRA/gpt2-factworld'?"]),
        ([*FACT, *ICE, "--set", "rnak=8"], ["HyperParamsError", "Did you mean 'rank'?"]),
        ([*FACT, *ICE, "--set", "rank=big"], ["HyperParamsError", "rank is 'big'", "expected int"]),
        ([*FACT, "--set", "rank"], ["HyperParamsError", "NAME=VALUE"]),
        ([*FACT, "--algorithm", "LoRA"], ["UnknownAlgorithmError", "Did you mean 'LoRA-BF'?"]),
        ([*FACT, "--model", "/no/such/model"], ["LoadingError", "/no/such/model"]),
    ],
)
def test_edit_refuses_what_cannot_be_with_the_remedy(arguments, words, capsys):
    message = refusal(["edit", *arguments], capsys)
    assert all(word in message for word in words), message


def test_world_records_can_be_read_and_edited(tmp_path, capsys):
    file = tmp_path / "dev.json"
    assert main(["world", "records", str(file), "--split", "dev"]) == 0
    assert str(file) in capsys.readouterr().out
    assert load_records(file).records == load_records("factworld", split="dev").records


def test_a_file_that_cannot_be_written_is_refused(tmp_path, capsys):
    (tmp_path / "taken").touch()
    assert "taken" in refusal(["world", "records", str(tmp_path / "taken" / "dev.json")], capsys)


def test_an_error_that_quotes_several_lines_is_told_in_one(monkeypatch, capsys):
    def offline(arguments):
        raise LoadingError("'nope' cannot be loaded (no connection.\n\nCheck yours.); give a folder")

    monkeypatch.setattr("easyedit_ice.cli.hparams.run", offline)
    assert "(no connection. Check yours.); give a folder" in refusal(["hparams"], capsys)


def test_doctor_is_content_here(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr()
    assert "Everything necessary is there." in printed.out
    assert not printed.err


def test_doctor_names_what_is_missing_and_the_remedy(monkeypatch, capsys):
    monkeypatch.setenv(HOME, "/nowhere")
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert out.rstrip().endswith("Missing: EasyEdit")
    assert "point it at the root of a checkout of EasyEdit" in out
