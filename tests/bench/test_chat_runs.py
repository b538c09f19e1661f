"""Runs that edit and ask in the user's turn of a chat template."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from runs import QUICK, configured, lines_of

from easyedit_ice import factworld, load_model
from easyedit_ice.bench.asking.facts import choose
from easyedit_ice.bench.config import DataConfig, EvaluationConfig
from easyedit_ice.bench.running.evaluate import evaluate_checkpoint
from easyedit_ice.bench.running.one_run import run
from easyedit_ice.cli import main
from easyedit_ice.data import load_records
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.errors import HyperParamsError, RunConfigError
from easyedit_ice.evaluation import observe
from easyedit_ice.text.chat import in_chat

TEMPLATE = (
    "{% for m in messages %}{{ 'So, ' + m['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'It is this:\n' }}{% endif %}"
)
CHAT = ("model.chat=true", "data.size=2", "verbosity=quiet")


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with a chat template."""
    folder = Path(shutil.copytree(factworld.model_path(), tmp_path_factory.mktemp("chat") / "gpt2-factworld"))
    _, tok = factworld.load()
    tok.chat_template = TEMPLATE
    tok.save_pretrained(folder)
    return folder


def _asked_in_chat(folder: Path, contexts: list | None = None) -> list[list[str | None]]:
    """What the unedited model writes when it is asked so, for each fact."""
    model, tok = load_model(EditHyperParams(model_name=str(folder), device="cpu"))
    facts = choose(configured(*QUICK, "data.size=2").data).edited
    found = observe(model, tok, [fact.asked for fact in facts], contexts=contexts, asking=in_chat(tok))
    return [[seen.generated for seen in own] for own in found]


def test_a_run_edits_and_asks_in_the_chat_and_says_so(talking: Path, tmp_path: Path) -> None:
    run(configured(*QUICK, *CHAT, f"model.name={talking}"), tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["model"]["chat"] is True
    assert manifest["hparams"]["chat"] is True
    before = [line for line in lines_of(tmp_path) if line["phase"] == "before"]
    told = [[answer["generated"] for answer in line["answers"]] for line in before]
    assert told == _asked_in_chat(talking)


def test_the_prompt_baseline_states_the_fact_within_the_users_turn(talking: Path, tmp_path: Path) -> None:
    run(configured("algorithm=Prompt", *CHAT, f"model.name={talking}"), tmp_path)
    after = [line for line in lines_of(tmp_path) if line["phase"] == "immediate"]
    facts = [fact.request for fact in choose(configured(*QUICK, "data.size=2").data).edited]
    stated = [f"{fact['prompt']} {fact['target_new']}. " for fact in facts]
    contexts = [lambda question, own=own: own + question for own in stated]
    told = [[answer["generated"] for answer in line["answers"]] for line in after]
    assert told == _asked_in_chat(talking, contexts)


def test_known_facts_are_those_that_the_model_answers_in_the_chat(talking: Path, tmp_path: Path) -> None:
    source = tmp_path / "few.json"
    source.write_text(json.dumps(list(load_records("factworld", size=20).records)), encoding="utf-8")
    more = (f"model.name={talking}", f"data.source={source}", "evaluation.known_facts=3")
    run(configured(*QUICK, *CHAT, *more), tmp_path)
    known = json.loads((tmp_path / "manifest.json").read_text())["known_facts"]
    assert known is None, "the template is new to the embedded model, which answers no question in it"


def test_known_facts_are_not_sought_otherwise_than_the_method_asks(talking: Path, tmp_path: Path) -> None:
    preset = tmp_path / "chat.yaml"
    preset.write_text(f"alg_name: LoRA-BF\nmodel_name: {talking}\nchat: true\n")
    own = (f"model.name={talking}", f"algorithm.preset={preset}", "evaluation.known_facts=3", "data.size=1")
    with pytest.raises(RunConfigError, match=r"set model\.chat"):
        run(configured("algorithm=LoRA-BF", *own), tmp_path / "run")


def test_runs_ask_bare_prompts_where_nothing_else_is_said(tmp_path: Path) -> None:
    run(configured(*QUICK, "data.size=1"), tmp_path)
    assert json.loads((tmp_path / "manifest.json").read_text())["model"]["chat"] is False


@pytest.mark.parametrize(
    ("overrides", "error", "said"),
    [
        (("algorithm=FT",), HyperParamsError, "FT edits bare prompts"),
        (("algorithm=LoRA-BF", "evaluation=easyedit"), RunConfigError, "asks bare prompts"),
        (("algorithm=LoRA-BF", "algorithm.hparams.chat=true"), RunConfigError, "model.chat; set that"),
    ],
)
def test_what_cannot_be_asked_in_a_chat_is_refused(talking, overrides, error, said, tmp_path) -> None:
    with pytest.raises(error, match=said):
        run(configured(*overrides, *CHAT, f"model.name={talking}"), tmp_path)


def test_a_model_without_a_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HyperParamsError, match="no chat template"):
        run(configured(*QUICK, *CHAT), tmp_path)


def test_a_saved_model_can_be_asked_in_the_chat(talking: Path) -> None:
    found = evaluate_checkpoint(talking, DataConfig(size=2), EvaluationConfig(), device="cpu", chat=True)
    assert found["chat"] is True
    told = [[answer["generated"] for answer in line["answers"]] for line in found["facts"]]
    assert told == _asked_in_chat(talking)


def test_the_command_edits_and_asks_in_the_chat(
    talking: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    prompt, target = "Faeso Faerkov has a job at", "Rinex Brothers"
    command = ["edit", "--model", str(talking), "--algorithm", "LoRA-BF", "--prompt", prompt, "--target", target]
    assert main([*command, "--chat"]) == 0
    shown = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(prompt))
    assert f"{target}  written (" in shown
    assert main([*command[:2], str(factworld.model_path()), *command[3:], "--chat"]) == 2
    assert "no chat template" in capsys.readouterr().err
