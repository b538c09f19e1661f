"""The table of algorithms."""

from __future__ import annotations

import pytest

from easyedit_ice import registry
from easyedit_ice.errors import DuplicateAlgorithmError, UnknownAlgorithmError
from easyedit_ice.registry import ALGORITHMS, AlgorithmSpec, AlgorithmTable


def _spec(name: str = "Toy", **changes: str) -> AlgorithmSpec:
    paths = {"hparams": "fractions:Fraction", "solve": "math:gcd"} | changes
    return AlgorithmSpec(name=name, **paths)


class _EntryPoint:
    def __init__(self, spec: AlgorithmSpec) -> None:
        self._spec = spec

    def load(self) -> AlgorithmSpec:
        return self._spec


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
    found = {"easyedit_ice.algorithms": [_EntryPoint(_spec("Theirs"))]}
    monkeypatch.setattr(registry, "entry_points", lambda group: found[group])
    table = AlgorithmTable(_spec())
    assert sorted(table) == ["Theirs", "Toy"]


def test_an_entry_point_cannot_take_a_name_that_is_in_use(monkeypatch):
    monkeypatch.setattr(registry, "entry_points", lambda group: [_EntryPoint(_spec(solve="math:lcm"))])
    with pytest.raises(DuplicateAlgorithmError):
        list(AlgorithmTable(_spec()))


def test_modules_are_imported_only_when_asked_for():
    spec = _spec(hparams="no_such_module:Settings", solve="no_such_module:solve")
    table = AlgorithmTable(spec)
    assert table["Toy"] is spec
    with pytest.raises(ModuleNotFoundError):
        _ = spec.solve_function


def test_a_path_resolves_to_what_it_names():
    from math import gcd

    assert _spec().solve_function is gcd
