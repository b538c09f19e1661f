"""The command that measures, lists and deletes second moments."""

from __future__ import annotations

from pathlib import Path

import pytest

from easyedit_ice.cli import main
from easyedit_ice.precompute.moment_store import MOMENTS


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_second_moments_are_measured_listed_and_deleted(capsys: pytest.CaptureFixture) -> None:
    assert main(["stats", "compute", "--set", "layers=[1,2]", "--set", "dynamic_multiplier=3"]) == 0
    assert "transformer.h.2.mlp.c_proj  768 x 768        2304" in capsys.readouterr().out
    assert main(["stats", "list"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("gpt2-factworld") == 2
    assert str(MOMENTS.folder) in shown
    assert main(["stats", "clear"]) == 0
    assert "deleted 2 files" in capsys.readouterr().out
    assert main(["stats", "list"]) == 0
    assert "there are none" in capsys.readouterr().out


def test_they_are_put_where_a_method_of_easyedit_looks(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["stats", "compute", "--for", "MEMIT"]) == 0
    assert "MEMIT of EasyEdit will find data/stats/" in capsys.readouterr().out
    assert len(list((tmp_path / "data").rglob("*.npz"))) == 1


def test_a_damaged_file_ends_the_command_with_the_remedy(capsys: pytest.CaptureFixture) -> None:
    assert main(["stats", "compute"]) == 0
    [file] = MOMENTS.folder.iterdir()
    file.write_bytes(b"damaged")
    for action in ("compute", "list"):
        assert main(["stats", action]) == 2
        assert "easyedit-ice internals stats clear" in capsys.readouterr().err
    assert main(["stats", "clear"]) == 0
    assert main(["stats", "compute"]) == 0


def test_those_of_any_algorithm_that_needs_them_are_measured(capsys: pytest.CaptureFixture) -> None:
    settings = ("--set", "layers=[2]", "--set", "dynamic_multiplier=1")
    assert main(["stats", "compute", "--algorithm", "GoRA", *settings]) == 0
    assert capsys.readouterr().out.split()[-5:] == ["transformer.h.2.mlp.c_proj", "768", "x", "768", "768"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["LoRA-BF"], "LoRA-BF needs no second moments; choose one of ICE-LoRA, GoRA"),
        (["GoRA", "--set", "protection=none"], "protection is 'none', which needs no second moments"),
    ],
)
def test_an_algorithm_that_needs_none_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["stats", "compute", "--algorithm", *arguments]) == 2
    assert words in capsys.readouterr().err
