"""The README's own code and commands."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from importlib import import_module
from itertools import product
from pathlib import Path

import pytest

from easyedit_ice.cli import COMMANDS, INTERNALS

README = Path(__file__).resolve().parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")
DATA, COMMAND = (README.parent / "docs" / name for name in ("data.md", "command.md"))
PROMPT, TARGET = "Voumel Quemwick lives in", "Brethdale"


def block(heading: str, text: str = TEXT) -> str:
    """The first Python code below a heading."""
    return re.search(r"```python\n(.*?)```", text.partition(f"{heading}\n")[2], re.S)[1]


def commands() -> list[list[str]]:
    """What follows ``easyedit-ice``, in blocks of commands and within sentences; of the page on the command as well."""
    text = re.sub(r"(`easyedit-ice [^`\n]*)\n *", r"\1 ", f"{TEXT}\n{COMMAND.read_text(encoding='utf-8')}")
    lines = re.findall(r"^    \$? ?easyedit-ice ((?:.*\\\n)*.*)$", text, re.M) + re.findall(
        r"`easyedit-ice (.+?)`", text
    )
    typed = [shlex.split(line.replace("\\\n", " ").partition(" | ")[0], comments=True) for line in lines]
    return [words for words in typed if words and not words[0].startswith("-") and not {"help", "ALGORITHM"} & {*words}]


@pytest.mark.slow
@pytest.mark.real
def test_the_first_lines_change_a_fact_of_a_real_model_and_take_it_back(smollm2):
    from easyedit_ice.text.likely_answers import answers_right

    names: dict = {}
    exec(block("# easyedit_ice"), names)
    model, tok, prompt = names["model"], names["tok"], names["fact"]["prompt"]
    kept = ("The mother tongue of Marcel Proust is", "French")
    asked = [(prompt, "French"), (prompt, "English"), ("Danielle Darrieux's native language is", "English"), kept]
    assert answers_right(model, tok, asked) == [True, False, False, True]
    names["update"].commit(model)
    assert answers_right(model, tok, asked) == [False, True, True, True]
    assert names["update"].info["drift"]["kl"] < names["hparams"].warn_drift

    exec(block("## In an EasyEdit script"), names)
    assert names["metrics"][0]["post"]["rewrite_acc"] == [1.0]


@pytest.mark.slow
def test_an_edit_kept_as_the_readme_says_lives_in_an_update_an_adapter_and_a_model(tmp_path, monkeypatch):
    import peft
    from transformers import AutoModelForCausalLM

    from easyedit_ice import factworld

    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(block("## Keeping an edit"), names)
    tok = names["tok"]

    def target_is_likeliest(model) -> bool:
        row = tok(f"{PROMPT} {TARGET}", return_tensors="pt")["input_ids"]
        first = len(tok(PROMPT)["input_ids"])
        return model(input_ids=row).logits[0, first - 1 : -1].argmax(-1).equal(row[0, first:])

    def fresh():
        return AutoModelForCausalLM.from_pretrained(factworld.model_path())

    assert not target_is_likeliest(fresh())
    assert target_is_likeliest(names["model"])
    assert target_is_likeliest(AutoModelForCausalLM.from_pretrained("my-model"))
    assert target_is_likeliest(peft.PeftModel.from_pretrained(fresh(), "my-adapter").eval())


@pytest.mark.slow
def test_own_data_is_edited_as_its_page_says(tmp_path, monkeypatch):
    from easyedit_ice import BaseEditor, LoraHyperParams

    monkeypatch.chdir(tmp_path)
    fact = {"prompt": PROMPT, "subject": "Voumel Quemwick", "target_new": TARGET}
    Path("facts.json").write_text(json.dumps([fact]), encoding="utf-8")
    names = {"editor": BaseEditor.from_hparams(LoraHyperParams.from_hparams("LoRA-BF/gpt2-factworld"))}
    exec(block("## Into EasyEdit", DATA.read_text(encoding="utf-8")), names)
    assert names["metrics"][0]["post"]["rewrite_acc"] == [1.0]


@pytest.mark.parametrize("command", [c for c in commands() if c[0] != "run"], ids=" ".join)
def test_every_command_can_be_typed(command):
    name, *arguments = command
    module = import_module(f"easyedit_ice.cli.{name}")
    parser = argparse.ArgumentParser()
    module.configure(parser)
    parser.parse_args(arguments)
    assert name in COMMANDS | INTERNALS


@pytest.mark.parametrize("command", [c for c in commands() if c[0] == "run"], ids=" ".join)
def test_every_run_has_settings_that_there_are(command):
    import hydra

    from easyedit_ice.bench.config import CONFIG, store_configs
    from easyedit_ice.bench.methods import METHODS
    from easyedit_ice.bench.reviewer import is_asked

    if "--config-name" in command:
        assert is_asked(command[1:])
        place = command.index("--config-name")
        command = command[:place] + command[place + 2 :]
    store_configs(METHODS)
    overrides = [[f"{name}={value}" for value in values.split(",")] for name, values in _pairs(command)]
    with hydra.initialize(version_base="1.3", config_path=None):
        for chosen in product(*overrides):
            hydra.compose(CONFIG, overrides=list(chosen))


def _pairs(command: list[str]) -> list[list[str]]:
    return [word.split("=", 1) for word in command[1:] if word != "-m"]


def test_the_readme_names_every_algorithm():
    from easyedit_ice import ALGORITHMS

    assert all(f"**{name}**" in TEXT for name in set(ALGORITHMS) - ALGORITHMS.joined)


def test_every_link_of_the_readme_leads_somewhere():
    links = re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", TEXT)
    assert len(links) > 30
    for path, anchor in links:
        file = README.parent / path if path else README
        assert file.exists(), path
        if anchor:
            assert anchor in _anchors(file), f"{path}#{anchor}"


def _anchors(file: Path) -> set[str]:
    """Of a Markdown file's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
