"""The core works without the extras; what needs one says which, and how to get it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires

import pytest

from easyedit_ice.errors import MissingExtraError
from easyedit_ice.runtime.extras import EXTRAS, require

_HIDE = f"import sys; sys.modules.update(dict.fromkeys({sorted({name for own in EXTRAS.values() for name in own})!r}))"
"""Has a child process find none of the extras' modules, as where they are not installed."""


def without_extras(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", f"{_HIDE}\n{code}"], capture_output=True, text=True, check=False)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return without_extras(f"from easyedit_ice.cli import main; sys.exit(main({list(arguments)!r}))")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "algorithm=LoRA-BF"),
        ("run", "--help"),
        ("eval", "--checkpoint", "my-edit"),
        ("report", "runs", "--out", "report"),
    ],
)
def test_a_command_whose_extra_is_missing_ends_with_the_line_for_pip(arguments):
    done = command(*arguments)

    assert done.returncode == 2
    assert done.stderr.startswith(f"easyedit-ice {arguments[0]}: MissingExtraError: ")
    assert "bm25s, hydra, matplotlib, pandas, scipy, which are not installed" in done.stderr
    assert "pip install 'easyedit-ice[bench]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_other_command_tells_its_arguments_without_extras():
    code = """
import contextlib, io, json
from easyedit_ice.cli import COMMANDS, main
found = {}
for name in COMMANDS:
    if name != "run":
        try:
            with contextlib.redirect_stdout(io.StringIO()) as shown:
                main([name, "--help"])
        except SystemExit as ended:
            found[name] = [ended.code, shown.getvalue()]
print(json.dumps(found))
"""
    found = json.loads(without_extras(code).stdout)

    assert {"edit", "eval", "probe", "report", "ui"} <= set(found)
    assert all(status == 0 and text.startswith(f"usage: easyedit-ice {name}") for name, (status, text) in found.items())


_CORE = """
import json, tempfile
from pathlib import Path
import torch
from easyedit_ice import ALGORITHMS, LoraHyperParams, WeightUpdate, solve, world
from easyedit_ice.data import load_records
from easyedit_ice.errors import MissingExtraError
from easyedit_ice.evaluation import Interval
from easyedit_ice.experts.expert_plots import draw_scores
from easyedit_ice.experts.grouping import _clusters
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.precompute.corpora import text_source

hparams = LoraHyperParams.from_hparams("LoRA-BF/gpt2-factworld", model_name=str(world.model_path()), num_steps=2)
model, tok = load_model(hparams)
fact = {"prompt": "Voumel Quemwick lives in", "subject": "Voumel Quemwick", "target_new": "Brethdale"}
update = solve(model, tok, [fact], hparams)
with tempfile.TemporaryDirectory() as folder:
    update.save(Path(folder, "update"))
    update.to_peft(model, Path(folder, "adapter"))
    update.commit(model)
    update.to_hf(model, tok, Path(folder, "model"))
    update.revert(model)
    exported = sorted(path.name for path in Path(folder).iterdir())

def refused(call):
    try:
        call()
    except MissingExtraError as error:
        return str(error)

print(json.dumps({
    "exported": exported,
    "data": refused(lambda: load_records("wiki_recent", split="test")),
    "texts": refused(lambda: list(text_source("wikitext:wikitext-2-raw-v1", model, tok))),
    "clusters": refused(lambda: _clusters(torch.zeros(4, 2), 2)),
    "drawing": refused(lambda: draw_scores({"fixed": {"rewrite": Interval(1.0, 0.7, 1.0, 10)}}, "scores.png")),
    "packed": refused(lambda: load_model(hparams.replace(quantization_bit=4))),
}))
"""


def test_facts_are_edited_and_exported_without_extras_and_the_rest_names_the_extra_it_needs():
    done = without_extras(_CORE)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])

    assert told.pop("exported") == ["adapter", "model", "update"]
    assert {what: re.findall(r"easyedit-ice\[(\w+)\]", message) for what, message in told.items()} == {
        "data": ["data"],
        "texts": ["data"],
        "clusters": ["experts"],
        "drawing": ["experts"],
        "packed": ["quant"],
    }


@pytest.mark.parametrize("extra", EXTRAS)
def test_pip_installs_every_module_that_an_extra_is_asked_for(extra):
    brought = {
        re.split(r"[^\w.-]", line)[0].lower().replace("_", "-")
        for line in requires("easyedit-ice")
        if re.search(rf"extra == ['\"]{extra}['\"]", line)
    }
    for module in EXTRAS[extra]:
        assert brought & {name.lower().replace("_", "-") for name in packages_distributions()[module]}


def test_an_extra_that_is_installed_is_let_pass_and_one_that_is_not_names_what_is_missing(monkeypatch):
    require("bench", "this test")
    monkeypatch.setitem(EXTRAS, "bench", ("json", "no_such_module"))

    with pytest.raises(MissingExtraError, match=r"this test needs no_such_module, which is not installed; run"):
        require("bench", "this test")
