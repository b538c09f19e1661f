"""What EasyEdit's methods keep beyond a call stays with the method that made it."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from easyedit_ice import factworld
from easyedit_ice.easyedit.locate import PACKAGE
from easyedit_ice.easyedit.methods.catalogue import HOST_METHODS
from easyedit_ice.easyedit.methods.engine import HostMethod
from easyedit_ice.easyedit.methods.host_settings import host_settings

FACT = {"prompt": "Voumel Quemwick lives in", "subject": "Voumel Quemwick", "target_new": "Brethdale"}
TEMPLATES = "CONTEXT_TEMPLATES_CACHE"


@pytest.fixture
def rome() -> HostMethod:
    model, tok = factworld.load()
    changes = {"mom2_adjustment": False, "v_num_grad_steps": 2}
    return HostMethod("ROME", model, tok, host_settings("ROME", "gpt2-factworld", changes))


def _kept() -> dict[tuple[str, str], Any]:
    names = {name for spec in HOST_METHODS.values() for name in (*spec.globals.caches, *spec.globals.records)}
    return {
        (name, kept): vars(module)[kept]
        for name, module in sys.modules.items()
        if name.startswith(f"{PACKAGE}.models.")
        for kept in names
        if kept in vars(module)
    }


def test_easyedits_globals_are_as_if_nothing_had_been_edited(rome: HostMethod) -> None:
    before = _kept()
    assert (f"{PACKAGE}.models.rome.rome_main", TEMPLATES) in before
    rome.prepare()
    rome.edit([FACT], 0)
    assert _kept() == before


def test_templates_of_somebody_else_are_neither_used_nor_lost(
    rome: HostMethod, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[f"{PACKAGE}.models.rome.rome_main"]
    monkeypatch.setattr(module, TEMPLATES, ["{}", "Somebody said. {}"])
    rome.prepare()
    assert getattr(module, TEMPLATES) == ["{}", "Somebody said. {}"]
    with rome._memory.in_place():
        assert "Somebody said. {}" not in getattr(module, TEMPLATES)


def test_two_methods_draw_the_same_templates(rome: HostMethod) -> None:
    module = sys.modules[f"{PACKAGE}.models.rome.rome_main"]
    model, tok = factworld.load()
    other = HostMethod("ROME", model, tok, rome.hparams)
    drawn = []
    for method in (rome, other):
        method.prepare()
        with method._memory.in_place():
            drawn.append(getattr(module, TEMPLATES))
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 21


def test_what_easyedit_prints_goes_to_the_log(
    rome: HostMethod, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger="easyedit_ice.runtime.captured_output"):
        rome.prepare()
        rome.edit([FACT], 0)
    assert capsys.readouterr().out == ""
    assert "Executing ROME algorithm" in caplog.text
