"""``--json``: every command that shows something has it, and stdout then holds one JSON value and nothing else."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from easyedit_ice import factworld
from easyedit_ice.cli import main
from easyedit_ice.cli.commands import BY_HYDRA, INTERNALS, whole_parser
from easyedit_ice.cli.json_output import print_json
from easyedit_ice.runtime import progress

FACTS = (
    {"prompt": "Faeso Faerkov has a job at", "subject": "Faeso Faerkov", "target_new": "Rinex Brothers"},
    {"prompt": "The tongue spoken in Plumland is", "subject": "Plumland", "target_new": "Pusese"},
)
ACTS = {
    *("ui", "demo", "run", "report", "completion"),
    *("edits add", "edits apply", "edits undo", "edits remove", "edits export", "edits push", "edits pull"),
    *("experts train", "experts delete", "spectra clear", "stats compute", "stats clear"),
    *("world train", "world records", "world testbed"),
}
"""What does something, and whose results lie in files that other commands show; or that is for people to watch."""


def _verbs(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command with its actions, each with its parser."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield name, parser
    for action in below:
        for verb, own in action.choices.items():
            yield from _verbs(own, f"{name} {verb}".strip())


VERBS = {name: parser for name, parser in _verbs(whole_parser()) if not name.startswith("internals ")}
SHOWING = {name for name, parser in VERBS.items() if "--json" in parser._option_string_actions}


def test_every_command_that_shows_something_has_json() -> None:
    assert set(VERBS) - SHOWING == ACTS
    assert set(BY_HYDRA) <= ACTS and all(any(name.startswith(own) for name in VERBS) for own in INTERNALS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A book of two edits, a saved update, an expert, and a file of facts."""
    from easyedit_ice import SVFHyperParams, load_model
    from easyedit_ice.experts import Library, train_experts

    folder = tmp_path_factory.mktemp("json")
    facts = folder / "facts.json"
    records = [fact | {"ground_truth": old} for fact, old in zip(FACTS, ("Balmax Group", "Flandese"), strict=True)]
    facts.write_text(json.dumps(records), encoding="utf-8")
    book = folder / "book"
    quick = ["--algorithm", "FastICE"]
    assert main(["edits", "add", str(book), "job", "--facts", str(facts), "--each", *quick]) in (0, 3)
    hparams = SVFHyperParams.from_hparams(
        "gpt2-factworld", model_name=str(factworld.model_path()), num_steps=1, layers=[4], target_modules=["mlp.out"]
    )
    model, tok = load_model(hparams)
    Library(folder / "experts").save(train_experts(model, tok, FACTS[:1], hparams, "fact"))
    return SimpleNamespace(folder=folder, facts=facts, book=book, experts=folder / "experts")


def _commands(place: SimpleNamespace) -> dict[str, list[str]]:
    """One call for each command."""
    fact = [f"--{name}={value}" for name, value in zip(("prompt", "subject", "target"), FACTS[0].values(), strict=True)]
    (expert,) = [path.name for path in place.experts.iterdir() if path.is_dir()]
    return {
        "abilities": ["--model", "gpt2-factworld", "--tasks", "factworld_choice", "--limit", "2"],
        "choose": [],
        "doctor": [],
        "edit": [*fact, "--algorithm", "FastICE"],
        "edits ask": [str(place.book)],
        "edits conflicts": [str(place.book)],
        "edits diff": [str(place.book), "job-1", "job-2"],
        "edits list": [str(place.book)],
        "edits show": [str(place.book), "job-1"],
        "eval": [
            *("--checkpoint", str(factworld.model_path()), "--size", "1", "--teacher-forced-only"),
            *("--out", str(place.folder / "eval.json")),
        ],
        "experts ask": [str(place.experts), "--prompt", FACTS[0]["prompt"], "--strategy", "fixed"],
        "experts list": [str(place.experts)],
        "experts show": [str(place.experts), expert],
        "hparams": ["FastICE"],
        "models": [],
        "plan": ["FastICE"],
        "probe": ["--size", "8"],
        "spectra list": [],
        "stats list": [],
        "world facts": [str(place.facts)],
        "world measure": ["--share", "0.001"],
    }


@pytest.mark.parametrize("verb", sorted(SHOWING))
def test_stdout_holds_one_json_value_and_stderr_no_progress(
    verb: str, place: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if verb == "abilities":
        pytest.importorskip("lm_eval", reason="needs the extra abilities")
    monkeypatch.setattr(progress, "EVERY", 0.0)
    capsys.readouterr()
    status = main([*verb.split(), *_commands(place)[verb], "--json"])
    printed = capsys.readouterr()
    value = json.loads(printed.out, parse_constant=pytest.fail)
    assert status in (0, 1, 3) and value is not None and isinstance(value, (dict, list))
    assert not printed.err or (verb == "edit" and len(printed.err.splitlines()) == 1)


def test_the_embedded_model_has_as_many_parameters_as_the_list_says(capsys: pytest.CaptureFixture[str]) -> None:
    from transformers import AutoModelForCausalLM

    main(["models", "--json"])
    listed = json.loads(capsys.readouterr().out)["models"][0]
    assert listed["parameters"] == AutoModelForCausalLM.from_pretrained(factworld.model_path()).num_parameters()


def test_what_json_lacks_becomes_null_or_text(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass
    class Found:
        where: Path
        loss: float

    print_json({"found": [Found(Path("a/b"), math.nan)], 1: {"x": (math.inf, -0.5)}, "names": {"é"}})
    assert json.loads(capsys.readouterr().out) == {
        "found": [{"where": "a/b", "loss": None}],
        "1": {"x": [None, -0.5]},
        "names": ["é"],
    }


def test_bad_input_leaves_stdout_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edits", "list", "/nowhere", "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and "BookError" in printed.err
