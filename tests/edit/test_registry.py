"""The table of algorithms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from easyedit_ice.edit import registry
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import ALGORITHMS, Algorithm, AlgorithmSpec, AlgorithmTable
from easyedit_ice.errors import BrokenAlgorithmError, DuplicateAlgorithmError, HyperParamsError, UnknownAlgorithmError


@cache
def _settings(name: str) -> type[EditHyperParams]:
    return type(f"{name}Settings", (EditHyperParams,), {})


def _spec(name: str = "Toy", **changes: Any) -> AlgorithmSpec:
    return AlgorithmSpec(name=name, **{"hparams": _settings(name), "solve": "math:gcd"} | changes)


class _EntryPoint:
    def __init__(self, found: Any, name: str = "theirs") -> None:
        self.name, self.value, self._found = name, f"their_package:{name}", found

    def load(self) -> Any:
        if isinstance(self._found, BaseException):
            raise self._found
        return self._found


def _discovering(monkeypatch, *entry_points: _EntryPoint) -> AlgorithmTable:
    found = {"easyedit_ice.algorithms": entry_points}
    monkeypatch.setattr(registry, "entry_points", lambda group: found[group])
    return AlgorithmTable(_spec())


def test_the_shipped_algorithms_are_there():
    assert {"ICE-LoRA", "LoRA-BF"} <= set(ALGORITHMS)


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_every_algorithm_resolves_and_says_what_it_is(name):
    spec = ALGORITHMS[name]
    assert spec.hparams_class().alg_name == name
    assert callable(spec.solve_function)
    assert spec.summary


def test_an_unknown_name_gets_a_suggestion_and_the_list():
    with pytest.raises(UnknownAlgorithmError, match=r"'ICE-Lora'.*Did you mean 'ICE-LoRA'\?.*LoRA-BF"):
        _ = ALGORITHMS["ICE-Lora"]


def test_membership_of_an_unknown_name_is_false_and_no_error():
    assert "no such algorithm" not in ALGORITHMS


def test_two_algorithms_cannot_share_a_name():
    table = AlgorithmTable(_spec())
    with pytest.raises(DuplicateAlgorithmError, match=r"'Toy' is taken by math:gcd.*math:lcm"):
        table.add(_spec(solve="math:lcm"))
    assert table["Toy"].solve == "math:gcd"


def test_adding_the_same_algorithm_again_changes_nothing():
    table = AlgorithmTable(_spec())
    table.add(_spec())
    assert len(table) == 1


def test_a_removed_algorithm_is_gone_and_its_name_free():
    table = AlgorithmTable(_spec())
    table.remove("Toy")
    assert "Toy" not in table
    table.add(_spec(solve="math:lcm"))
    assert table["Toy"].solve == "math:lcm"


def test_entry_points_of_other_packages_join_the_table(monkeypatch):
    table = _discovering(monkeypatch, _EntryPoint(_spec("Theirs")))
    assert sorted(table) == ["Theirs", "Toy"]
    assert table.joined == {"Theirs"}
    assert not table.broken


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (ModuleNotFoundError("No module named 'gone'"), "ModuleNotFoundError: No module named 'gone'"),
        (SystemExit(3), "SystemExit: 3"),
        ("no algorithm", "TypeError: it is 'no algorithm', and no Algorithm"),
        (_spec("Worse", hparams="no_such_module:Settings"), "No module named 'no_such_module'"),
        (_spec("Worse", solve="math:no_such_function"), "no attribute 'no_such_function'"),
        (_spec(solve="math:lcm"), "DuplicateAlgorithmError: the name 'Toy' is taken by math:gcd"),
    ],
)
def test_a_broken_entry_point_is_named_and_harms_nobody(monkeypatch, caplog, found, why):
    broken, sound = _EntryPoint(found, "Worse"), _EntryPoint(_spec("Theirs"))
    for order in ((broken, sound), (sound, broken)):
        caplog.clear()
        table = _discovering(monkeypatch, *order)
        assert sorted(table) == ["Theirs", "Toy"]
        assert table["Toy"].solve == "math:gcd"
        assert why in table.broken["Worse"]
        assert why in caplog.text
        with pytest.raises(BrokenAlgorithmError, match=r"'Worse' of another package .*mend or uninstall") as caught:
            _ = table["Worse"]
        assert why in str(caught.value)


def test_every_name_is_in_the_table_before_its_module_is_imported():
    table = AlgorithmTable(shipped={"Lazy": "no_such_module:ALGORITHM"})
    assert list(table) == ["Lazy"]
    with pytest.raises(ModuleNotFoundError):
        _ = table["Lazy"]


def test_settings_take_the_name_of_their_algorithm():
    @dataclass
    class Settings(EditHyperParams):
        pass

    @dataclass
    class Derived(Settings):
        pass

    assert Settings().alg_name == ""
    Algorithm("One", Settings, solve=max)
    assert (Settings().alg_name, Derived().alg_name) == ("One", "One")
    Algorithm("Two", Derived, solve=max)
    assert (Settings().alg_name, Derived().alg_name) == ("One", "Two")
    with pytest.raises(HyperParamsError, match="alg_name is 'One', but Derived is for 'Two'"):
        Derived(alg_name="One")
    with pytest.raises(DuplicateAlgorithmError, match="Settings holds the settings of One; derive a class"):
        Algorithm("Three", Settings, solve=max)


def test_modules_are_imported_only_when_asked_for():
    spec = _spec(hparams="no_such_module:Settings", solve="no_such_module:solve")
    table = AlgorithmTable(spec)
    assert table["Toy"] is spec
    with pytest.raises(ModuleNotFoundError):
        _ = spec.solve_function


def test_a_path_resolves_to_what_it_names():
    from math import gcd

    assert _spec().solve_function is gcd
