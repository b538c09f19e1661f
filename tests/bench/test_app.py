"""The command ``easyedit-ice run``, as it is typed."""

import json
import os
import re
import subprocess
import sys

import pytest
from launching import launched
from runs import QUICK, STREAM, configured, lines_of

from easyedit_ice.bench.running.one_run import run
from easyedit_ice.cli import main

OWN = ("algorithm.hparams.num_steps=4", "data.size=3", "verbosity=quiet")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("mode.batchsize=3", "there is no setting 'mode.batchsize'. Did you mean 'batch_size'?"),
        ("outt=x", "there is no setting 'outt'. Did you mean 'out'?"),
        ("algorithm.hparams.lrr=1", "there is no setting 'algorithm.hparams.lrr'. Did you mean 'lr'?"),
        ("mode=singel", "mode is 'singel'. Did you mean 'single'?"),
        ("algorithm=ICE-LORA", "algorithm is 'ICE-LORA'. Did you mean 'ICE-LoRA'?"),
        ("algorithm.hparams.lr=abc", "'abc' of type 'str' could not be converted to Float"),
        ("algorithm.hparams.lr=-1", "lr is -1"),
        ("algorithm.hparams.gradient_checkpointing=2", "'2' of type 'int' is no boolean; write true or false"),
        ("algorithm.hparams.append_eos='2'", "'2' of type 'str' is no boolean"),
        ("model.chat=2", "'2' of type 'int' is no boolean"),
        ("data.known=0.5", "'0.5' of type 'float' is no boolean"),
        ("evaluation.undo=3", "'3' of type 'int' is no boolean"),
        ("save=2", "'2' of type 'int' is no boolean"),
        ("data.source=factwrold", "Did you mean 'factworld'?"),
        ("mode.name=sequental", "Did you mean 'sequential'?"),
        ("evaluation.scorer=easy", "expected one of batched, easyedit"),
        ("verbosity=loud", "expected one of quiet, normal, verbose"),
        ("mode.batch_size=4", "choose mode=batch"),
        ("algorithm.hparams.seed=3", "is set for all methods by seed"),
        ("save=true", "edits of mode single do not stay"),
        ("tracker=tensorbord", "tracker is 'tensorbord'"),
        ("model.name=/nowhere", "there is no folder '/nowhere'"),
        ("data.size=", "data.size"),
        ("data.size=0", "data.size is 0; it must be at least 1"),
        ("data.start=-5", "data.start is -5; it must be at least 0"),
        ("data.seed=-1", "data.seed is -1; it must be from 0 to 4294967295"),
        ("evaluation.max_new_tokens=-1", "evaluation.max_new_tokens is -1; it must be at least 1"),
        ("evaluation.drift_texts=-1", "evaluation.drift_texts is -1; it must be at least 0"),
        ("evaluation.known_facts=-1", "evaluation.known_facts is -1; it must be at least 0"),
        ("threads=100000", "threads is 100000; it must be from 1 to"),
        ("seed=-1", "seed is -1; it must be from 0"),
        ("seed=99999999999999999999", "it must be from 0"),
        ("verbosity=normal", "data.size is not given, and factworld has 1302 records; give data.size=100, say, or add"),
    ],
)
def test_what_is_typed_wrong_is_refused_in_one_line_with_what_was_meant(typed, expected, tmp_path, capsys):
    arguments = [typed] if typed.startswith("verbosity") else ["data.size=3", typed, "verbosity=quiet"]

    assert main(["run", *arguments, f"hydra.run.dir={tmp_path / 'run'}"]) == 2

    printed = capsys.readouterr()
    assert expected in printed.err
    assert "Traceback" not in printed.err
    assert not printed.out
    assert list(tmp_path.iterdir()) == [], "nothing is left of a run that was refused"


def test_a_typo_in_the_settings_of_one_of_easyedits_methods_is_refused_too(tmp_path, capsys):
    assert (
        main(
            [
                "run",
                "algorithm=FT",
                "algorithm.hparams.num_stepz=3",
                "data.size=3",
                f"out={tmp_path}",
                "verbosity=quiet",
            ]
        )
        == 2
    )
    assert "FT has no setting 'num_stepz'. Did you mean 'num_steps'?" in capsys.readouterr().err


def test_the_command_does_what_its_configuration_says(tmp_path):
    assert main(["run", *QUICK, f"out={tmp_path / 'typed'}"]) == 0

    assert lines_of(tmp_path / "typed") == lines_of(run(configured(*QUICK), tmp_path / "called"))


def test_a_quiet_run_says_nothing_and_a_normal_one_says_each_thing_once(tmp_path, capfd):
    assert main(["run", *QUICK, f"out={tmp_path / 'quiet'}"]) == 0
    assert capfd.readouterr() == ("", "")

    assert (
        main(["run", *QUICK, "algorithm.hparams.warn_drift=9", "verbosity=normal", f"out={tmp_path / 'normal'}"]) == 0
    )
    said = capfd.readouterr()
    assert "single, 4 facts of factworld/test, gpt2-factworld (3.2 M parameters)" in said.out
    assert re.search(r"\nLoRA-BF .* 4 +0 +100\.0 ", said.out), "the table has the report's scores"
    assert "95 % intervals reach up to" in said.out
    assert said.err.splitlines() == [
        "LoRA-BF: 4 facts of factworld/test, single",
        f"LoRA-BF: done, in {tmp_path / 'normal'}",
    ]
    assert "factworld/test: 1302 records" in (tmp_path / "normal/run.log").read_text()


def test_names_from_elsewhere_are_understood_and_said(tmp_path, capfd):
    typed = ["algorithm=LoRA-BF", "algorithm.hparams.epochs=4", "algorithm.hparams.r=2", "data.size=1"]

    assert main(["run", *typed, "evaluation=fast", f"out={tmp_path / 'run'}"]) == 0

    settings = json.loads((tmp_path / "run/manifest.json").read_text())["hparams"]
    assert (settings["num_steps"], settings["rank"]) == (4, 2)
    said = capfd.readouterr().err
    assert "note: epochs is called num_steps here, and was taken as that" in said
    assert "r is called rank here" in said


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(capsys):
    assert main(["run", *QUICK, "out=/proc/x/run"]) == 2
    assert "choose another one with out=..." in capsys.readouterr().err


@pytest.mark.long
def test_a_sweep_by_joblib_gives_each_run_a_folder_with_the_lines_it_has_alone(tmp_path):
    swept = ("algorithm.hparams.rank=2,4", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "write_report=true")
    typed = [
        sys.executable,
        "-m",
        "easyedit_ice",
        "run",
        "-m",
        "algorithm=LoRA-BF",
        *OWN,
        *swept,
        f"out={tmp_path / 's'}",
    ]

    subprocess.run(typed, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=600)

    for rank in (2, 4):
        alone = run(configured("algorithm=LoRA-BF", *OWN, f"algorithm.hparams.rank={rank}"), tmp_path / f"alone{rank}")
        assert lines_of(tmp_path / "s" / f"algorithm.hparams.rank={rank}") == lines_of(alone)
    page = (tmp_path / "s/report/report.html").read_text()
    assert "LoRA-BF num_steps=4 rank=2" in page
    assert "LoRA-BF num_steps=4 rank=4" in page


@pytest.mark.long
def test_two_processes_end_with_the_ledger_of_one(tmp_path):
    typed = [*launched(2), "-m", "easyedit_ice", "run", *QUICK, f"out={tmp_path / 'two'}"]

    done = subprocess.run(typed, check=False, capture_output=True, text=True, timeout=600)

    assert done.returncode == 0, done.stderr[-3000:]
    assert lines_of(tmp_path / "two") == lines_of(run(configured(*QUICK), tmp_path / "one"))


def test_each_facts_scores_reach_the_tracker(tmp_path):
    folder = run(configured(*QUICK, "tracker=tensorboard"), tmp_path)

    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logs = [accumulator.EventAccumulator(str(path)).Reload() for path in folder.rglob("events.out.tfevents.*")]
    (log,) = [log for log in logs if "teacher_forced/rewrite" in log.Tags()["scalars"]]
    scalars = log.Scalars("teacher_forced/rewrite")
    expected = [
        line["scores"]["teacher_forced"]["rewrite"] for line in lines_of(folder) if line["phase"] == "immediate"
    ]
    assert [scalar.value for scalar in scalars] == pytest.approx(expected)


def test_a_saved_stream_is_evaluated_to_the_scores_it_ended_with(tmp_path):
    folder = run(configured(*STREAM, "save=true"), tmp_path / "run")

    assert (
        main(
            [
                "eval",
                "--checkpoint",
                str(folder),
                "--model",
                "gpt2-factworld",
                "--size",
                "4",
                "--out",
                str(tmp_path / "e.json"),
            ]
        )
        == 0
    )

    found = json.loads((tmp_path / "e.json").read_text())
    retained = [line["scores"] for line in lines_of(folder) if line["phase"] == "retained" and line["step"] == 4]
    assert [line["scores"] for line in found["facts"]] == retained
    assert found["checkpoint"]["kind"] == "model"


def test_help_parts_every_setting_from_what_is_said_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["run", "--help"])
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ") and "." in line.split()[0]]
    assert len(said) > 40
    assert all(re.match(r"  [a-z_]+\.[a-z_]+  +\S", line) for line in said)
