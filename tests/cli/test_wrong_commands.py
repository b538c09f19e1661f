"""Commands as newcomers mistyped them: each is a named error with a remedy, or does what was meant.

Those that once lost somebody's work come first.
"""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from hashlib import sha256
from pathlib import Path

import pytest

from easyedit_ice.cli import main
from easyedit_ice.factworld import model_path

FACT = ["--prompt", "Faeso Faerkov has a job at", "--subject", "Faeso Faerkov", "--target", "Rinex Brothers"]
LORA = [*FACT, "--algorithm", "LoRA-BF"]
PROMPTED = ["--prompt", "Faeso Faerkov has a job at", "--target", "Rinex Brothers"]


def said(arguments: list[str], capsys: pytest.CaptureFixture) -> tuple[int, str, str]:
    """Status, stdout and stderr of a command; never a traceback."""
    try:
        status = main(arguments)
    except SystemExit as left:
        status = int(left.code or 0)
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return status, printed.out, printed.err


def bytes_of(folder: Path) -> dict[str, str]:
    """Hash of each file."""
    return {str(path): sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with what people have in theirs."""
    shutil.copytree(model_path(), tmp_path / "gpt2-base")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("months of work")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.json").write_text('[{"prompt": "A",}]')
    (tmp_path / "targetless.json").write_text('[{"prompt": "Ann lives in", "subject": "Ann"}]')
    (tmp_path / "twice.csv").write_text("prompt,target\nAnn lives in,Rome\nAnn lives in,Oslo\n")
    (tmp_path / "unknown.jsonl").write_text('{"prompt": "Ann lives in", "target": "Rome", "colour": "red"}\n')
    (tmp_path / "nothing.json").write_text("[]")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("COLUMNS", "1000")
    return tmp_path


LOSSES = {
    "the model's own folder": (["edit", *FACT, "--model", "gpt2-base", "--save-model", "gpt2-base"], "gives? another"),
    "a folder in the model's own": (["edit", *FACT, "--model", "gpt2-base", "--save", "gpt2-base/mine"], "another"),
    "a folder with other things": (["edit", *FACT, "--save", "notes"], "notes exists"),
    "the same, overwriting": (["edit", *FACT, "--save", "notes", "--overwrite"], "something else than a saved update"),
    "a model into other things": (["edit", *FACT, "--save-model", "notes", "--overwrite"], "something else"),
    "a file": (["edit", *FACT, "--save", "file"], "file exists"),
    "below a file": (["edit", *FACT, "--save", "file/edit"], "file is a file"),
    "where nothing can be made": (["edit", *FACT, "--save", "/proc/nope/edit"], "cannot be"),
    "an evaluation over a file": (["eval", "--checkpoint", "gpt2-base", "--size", "1", "--out", "file"], "another"),
    "records over a file": (["world", "records", "file"], "file exists"),
    "a book in other things": (["edits", "add", "notes", "job", *FACT], "holds mine.txt"),
    "a book in the model's own folder": (
        ["edits", "add", "gpt2-base/book", "job", *FACT, "--model", "gpt2-base"],
        "gpt2-base",
    ),
    "an edit as GGUF of a model that is none": (["edit", *FACT, "--save-gguf", "out.gguf"], "UpdateError"),
}


@pytest.mark.parametrize("mistake", LOSSES)
def test_nothing_that_is_there_is_lost(mistake, place, capsys):
    arguments, words = LOSSES[mistake]
    before = bytes_of(place)
    status, out, err = said(arguments, capsys)
    assert status == 2
    assert words.removeprefix("gives? ") in err, err
    assert not out
    after = bytes_of(place)
    assert {path: after.get(path) for path in before} == before
    assert after.keys() - before.keys() <= {str(place / "gpt2-base" / "book" / ".lock")}


def test_a_full_disk_is_told_before_the_edit(place, capsys, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda *_: usage(10, 9, 1))
    status, _, err = said(["edit", *FACT, "--save-model", "edited"], capsys)
    assert status == 2
    assert "SaveError" in err
    assert "free" in err
    assert not (place / "edited").exists()


REFUSED = {
    # the model
    "a folder that is not there": (["edit", *FACT, "--model", "/nowhere/model"], "/nowhere/model"),
    "a gguf file that is not there": (["edit", *FACT, "--model", "no.gguf"], "there is no file no.gguf"),
    "a folder without a model": (["edit", *FACT, "--model", "empty"], "transformers"),
    "a file that is no model": (["edit", *FACT, "--model", "file"], "file is a file; give the folder"),
    "a model's name misspelt": (["edit", *FACT, "--model", "smolm2-135m"], "Did you mean 'smollm2-135m'?"),
    "a gpu that is not there": (["probe", "--device", "cuda:0"], "sees no GPU"),
    "a device that is none": (["probe", "--device", "gpu"], "expected 'cpu', 'cuda:0'"),
    # the method and its settings
    "a preset misspelt": (["edit", *LORA, "--hparams", "lama3"], "Did you mean 'LoRA-BF/llama3-8b'?"),
    "EasyEdit's method": (["edit", *FACT, "--algorithm", "ROME"], "easyedit-ice run algorithm=ROME"),
    "a method in capitals": (["edit", *FACT, "--algorithm", "LORA-BF"], "Did you mean 'LoRA-BF'?"),
    "a method without its dash": (["edit", *FACT, "--algorithm", "ICELoRA"], "Did you mean 'ICE-LoRA'?"),
    "half a method's name": (["edit", *FACT, "--algorithm", "ice"], "Did you mean 'ICE-LoRA'?"),
    "a job that is none": (["edit", *FACT, "--for", "facts"], "Did you mean 'fact'?"),
    "a setting called otherwise": (["edit", *LORA, "--set", "learning_rate=fast"], "lr is 'fast'"),
    "a setting misspelt": (["edit", *LORA, "--set", "rnak=8"], "Did you mean 'rank'?"),
    "a setting of other methods": (["edit", *LORA, "--set", "v_lr=1"], "Algorithms that have it: "),
    "a setting without a value": (["edit", *LORA, "--set", "lr"], "NAME=VALUE"),
    "a rank of nothing": (["edit", *LORA, "--set", "rank=0"], "rank is 0"),
    "no steps": (["edit", *LORA, "--set", "num_steps=0"], "num_steps is 0"),
    "a type that is none": (["edit", *LORA, "--set", "dtype=fp16"], "float16"),
    "a layer that is not there": (["edit", *LORA, "--set", "layers=[40]"], "layer 40 does not exist; the model has"),
    "a module that is not there": (["edit", *LORA, "--set", "target_modules=[q_proj]"], "attn.c_attn"),
    "no threads": (["edit", *FACT, "--threads", "0"], "from 1 to 1024"),
    # the fact
    "no fact": (["edit"], "--prompt and --target missing"),
    "no target": (["edit", "--prompt", "Ann lives in"], "--target missing"),
    "no subject where one is needed": (["edit", *PROMPTED, "--algorithm", "FastROME"], "subject"),
    "a subject that is not in the prompt": (["edit", *PROMPTED, "--subject", "Ann"], "spell it as the prompt does"),
    "an empty target": (["edit", "--prompt", "Ann lives in", "--target", ""], "EmptyTextError"),
    "an empty prompt": (["edit", "--prompt", "", "--target", "Rome"], "EmptyTextError"),
    "an empty subject": (["edit", *PROMPTED, "--subject", ""], "EmptyTextError"),
    "text without quotes": (["edit", "--prompt", "The", "capital", "is"], "text with spaces belongs in quotes"),
    "a fact beside a file of facts": (["edit", *FACT, "--facts", "twice.csv"], "put it into the file"),
    # files of facts
    "a file that is not there": (["edit", "--facts", "no.json"], "no.json"),
    "JSON that is none": (["edit", "--facts", "bad.json"], "bad.json"),
    "a fact without a target": (["edit", "--facts", "targetless.json"], "target"),
    "one prompt with two targets": (["edit", "--facts", "twice.csv"], "Oslo"),
    "a key that nobody knows": (["edit", "--facts", "unknown.jsonl"], "colour"),
    "a file without facts": (["edit", "--facts", "nothing.json"], "nothing.json"),
    # commands and options
    "a command misspelt": (["edti"], "Did you mean 'edit'?"),
    "a command in capitals": (["EDIT"], "Did you mean 'edit'?"),
    "a command called otherwise": (["undo"], "easyedit-ice edits undo"),
    "an option misspelt": (["edit", "--modle", "x"], "Did you mean '--model'?"),
    "an option called otherwise": (["edit", "--target-new", "x"], "It is called --target here"),
    "an option with an underscore": (["edit", "--save_model", "x"], "It is spelt --save-model"),
    "a setting as an option": (["edit", "--learning-rate", "3"], "--set learning_rate=VALUE"),
    "an action misspelt": (["edits", "lst", "book"], "Did you mean 'list'?"),
    "no action": (["edits"], "There are: add, list"),
    "an option without a command": (["--modle"], "there is no option --modle"),
    "a model that an unset variable names": (["edit", *FACT, "--model", ""], "--model is blank; give it a value"),
    "a blank question": (["edit", *FACT, "--ask", " "], "--ask is blank"),
    "a blank place": (["edit", *FACT, "--save-model", ""], "--save-model is blank"),
    "a blank setting": (["edits", "add", "book", "job", *FACT, "--set", ""], "--set is blank"),
    "a shell that is none": (["completion", "basch"], "Did you mean 'bash'?"),
    "a book that is not there": (["edits", "list", "nowhere"], "nowhere"),
    # runs, reports, evaluations
    "a run's option that is none": (["run", "--algoritm", "LoRA-BF"], "Did you mean '--algorithm'?"),
    "a run's option without a value": (["run", "--algorithm"], "algorithm=VALUE"),
    "a run's method misspelt": (["run", "--algorithm", "Rome"], "Did you mean 'ROME'?"),
    "a run's key misspelt": (["run", "data.sise=3"], "Did you mean"),
    "a run's setting misspelt": (["run", "algorithm=LoRA-BF", "algorithm.hparams.lrr=1", "data.size=1"], "lrr"),
    "a run's list without brackets": (["run", "evaluation.probes=all", "data.size=1"], "write a list in brackets"),
    "a run's mode that is none": (["run", "mode=stream", "data.size=1"], "sequential"),
    "a run's model by the wrong key": (["run", "model=smollm2", "data.size=1"], "model.name"),
    "a run's data that is not there": (["run", "data=unknown", "data.size=1"], "data.source"),
    "a negative number of facts": (["run", "data.size=-3"], "size"),
    "no facts": (["run", "data.size=0"], "size"),
    "a run of everything": (["run"], "confirm=true"),
    "a report of nothing": (["report", "nowhere", "--out", "report"], "nowhere"),
    "a report of no such format": (["report", "empty", "--out", "report", "--formats", "pdf"], "empty"),
    "an evaluation of nothing": (["eval", "--checkpoint", "nowhere"], "nowhere"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_told_with_what_to_do(mistake, place, capsys):
    arguments, words = REFUSED[mistake]
    before = set(place.iterdir())
    status, out, err = said(arguments, capsys)
    assert status == 2, out + err
    assert words in err, err
    assert len(err.splitlines()) <= 3
    assert set(place.iterdir()) == before, "a mistake leaves nothing behind"


MEANT = {
    "nothing": ([], "commands:"),
    "help": (["help"], "Exit status: 0 done"),
    "help for a command": (["help", "edits"], "usage: easyedit-ice edits"),
    "the version": (["--version"], "easyedit-ice 0."),
    "the version as a command": (["version"], "torch"),
    "an internal by its old name": (["spectra", "list"], "in "),
    "an internal by its new name": (["internals", "spectra", "list"], "in "),
    "a method's settings": (["hparams", "FastMEMIT"], "Those that matter most"),
    "completion": (["completion", "bash"], "complete"),
}


@pytest.mark.parametrize("wish", MEANT)
def test_what_was_meant_is_done(wish, place, capsys):
    arguments, words = MEANT[wish]
    status, out, _ = said(arguments, capsys)
    assert status == 0
    assert words in out


def test_every_commands_help_says_what_its_status_means(capsys):
    assert "3 a fact did not take" in " ".join(said(["edit", "--help"], capsys)[1].split())
    assert "3 a fact did not take" in " ".join(said(["edits", "add", "--help"], capsys)[1].split())


def test_the_settings_that_matter_come_first_and_each_stands_once(capsys):
    from easyedit_ice.cli.hparams import grouped
    from easyedit_ice.edit.registry import ALGORITHMS

    for spec in ALGORITHMS.values():
        groups = list(grouped(spec.hparams_class))
        names = [row[0] for _, rows in groups for row in rows]
        assert sorted(names) == sorted(row[0] for row in spec.hparams_class.describe())
        assert 3 <= len(groups[0][1]) <= 16, spec.name
        assert "max_drift" in [row[0] for row in groups[0][1]]


def test_a_report_of_an_earlier_evaluation_may_be_written_again(place):
    from easyedit_ice.cli.eval import require_free

    (place / "eval.json").write_text(json.dumps({"summary": {}, "data": {}}))
    require_free(place / "eval.json")
