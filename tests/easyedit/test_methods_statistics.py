"""Second moments where EasyEdit's methods look for them."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from easyedit_ice import factworld
from easyedit_ice.easyedit import base_editor
from easyedit_ice.easyedit.locate import PACKAGE, host_info
from easyedit_ice.easyedit.methods.host_settings import host_settings
from easyedit_ice.easyedit.moment_files import hand_over, provide_statistics
from easyedit_ice.errors import DataError, HyperParamsError, StatisticsError
from easyedit_ice.precompute.moments import Measuring, moments
from easyedit_ice.precompute.second_moments import second_moments

NAME = "transformer.h.2.mlp.c_proj"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def model() -> tuple[Any, Any]:
    base_editor()
    return factworld.load()


def _hparams(**changes: Any) -> SimpleNamespace:
    settings = {
        "layers": [2],
        "rewrite_module_tmp": "transformer.h.{}.mlp.c_proj",
        "mom2_adjustment": True,
        "mom2_dataset": "factworld",
        "mom2_n_samples": 30,
        "mom2_dtype": "float32",
        "stats_dir": "data/stats",
        "device": "cpu",
    }
    return SimpleNamespace(**settings | changes)


def _read_by_easyedit(model: Any, tok: Any, hparams: Any, name: str = NAME) -> torch.Tensor:
    stats = import_module(f"{PACKAGE}.models.rome.layer_stats").layer_stats(
        model,
        tok,
        name,
        hparams.stats_dir,
        hparams.mom2_dataset,
        to_collect=["mom2"],
        sample_size=hparams.mom2_n_samples,
        precision=hparams.mom2_dtype,
        hparams=hparams,
    )
    return stats.mom2.moment()


def _files() -> list[Path]:
    return sorted(Path(os.environ["XDG_CACHE_HOME"]).rglob("*.npz"))


@pytest.mark.parametrize("layers", [[2], [1, 3, 4]])
def test_easyedit_reads_what_was_measured(layers: list[int], model: tuple) -> None:
    hparams = _hparams(layers=layers)
    provide_statistics(*model, hparams)
    names = [f"transformer.h.{layer}.mlp.c_proj" for layer in layers]
    expected = second_moments(*model, names, factworld.general_text(30, seed=1)).moments
    for name in names:
        read = _read_by_easyedit(*model, hparams, name).double()
        torch.testing.assert_close(read, expected[name], rtol=1e-5, atol=1e-6)


def test_they_are_measured_once(model: tuple) -> None:
    provide_statistics(*model, _hparams())
    written = [(path, path.stat().st_mtime_ns) for path in _files()]
    provide_statistics(*model, _hparams())
    assert len(written) == 1
    assert [(path, path.stat().st_mtime_ns) for path in _files()] == written


def test_other_weights_of_the_same_name_have_statistics_of_their_own(model: tuple) -> None:
    provide_statistics(*model, first := _hparams())
    other, tok = factworld.load()
    with torch.no_grad():
        other.transformer.h[0].mlp.c_proj.weight.mul_(2)
    provide_statistics(other, tok, second := _hparams())
    assert first.stats_dir != second.stats_dir
    assert not torch.equal(_read_by_easyedit(*model, first), _read_by_easyedit(other, tok, second))


def test_a_text_file_may_be_given(tmp_path: Path, model: tuple) -> None:
    texts = list(factworld.general_text(40, seed=9))
    file = tmp_path / "corpus.txt"
    file.write_text("\n".join(text.replace("\n", " ") for text in texts), encoding="utf-8")
    hparams = _hparams(mom2_dataset=str(file))
    provide_statistics(*model, hparams)
    lines = file.read_text(encoding="utf-8").splitlines()[:30]
    expected = second_moments(*model, [NAME], lines).moments[NAME]
    torch.testing.assert_close(_read_by_easyedit(*model, hparams).double(), expected, rtol=1e-5, atol=1e-6)


def test_a_text_file_with_too_few_lines_is_refused(tmp_path: Path, model: tuple) -> None:
    (tmp_path / "short.txt").write_text("One line.\n\n")
    with pytest.raises(DataError, match=r"short\.txt.*1 texts.*mom2_n_samples is 30"):
        provide_statistics(*model, _hparams(mom2_dataset=str(tmp_path / "short.txt")))


def test_the_model_may_write_the_text_itself_always_the_same(model: tuple) -> None:
    random_state = torch.get_rng_state()
    provide_statistics(*model, first := _hparams(mom2_dataset="samples"))
    provide_statistics(*model, second := _hparams(mom2_dataset="samples"))
    assert first.stats_dir == second.stats_dir
    assert torch.equal(random_state, torch.get_rng_state())
    assert torch.linalg.eigvalsh(_read_by_easyedit(*model, first).double()).min() > -1e-6


def test_those_of_this_packages_own_methods_are_shared(model: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    own = moments(*model, [NAME], Measuring(dynamic_multiplier=4))[NAME]

    def measure(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr("easyedit_ice.precompute.moments.second_moments", measure)
    for _ in range(2):
        hparams = _hparams(mom2_dataset="auto", mom2_n_samples=4 * 768)
        provide_statistics(*model, hparams)
        torch.testing.assert_close(_read_by_easyedit(*model, hparams).double(), own[0], rtol=1e-5, atol=1e-6)


def test_fewer_tokens_than_inputs_are_refused(model: tuple) -> None:
    with pytest.raises(HyperParamsError, match=r"mom2_n_samples is 30.*768 inputs"):
        provide_statistics(*model, _hparams(mom2_dataset="auto"))


@pytest.mark.parametrize("changes", [{"mom2_adjustment": False}, {"mom2_dataset": "wikipedia"}])
def test_what_needs_no_statistics_of_ours_is_left_to_easyedit(changes: dict, model: tuple) -> None:
    hparams = _hparams(**changes)
    provide_statistics(*model, hparams)
    assert (hparams.stats_dir, _files()) == ("data/stats", [])


def test_a_model_without_a_name_is_refused() -> None:
    model, tok = factworld.load()
    model.config._name_or_path = ""
    with pytest.raises(HyperParamsError, match="_name_or_path"):
        provide_statistics(model, tok, _hparams())


def _few(tmp_path: Path, **changes: Any) -> SimpleNamespace:
    return _hparams(stats_dir=str(tmp_path / "stats"), mom2_dataset="wikipedia", mom2_n_samples=100_000, **changes)


def test_second_moments_of_few_tokens_are_handed_over_without_a_download(tmp_path: Path, model: tuple) -> None:
    hparams = _few(tmp_path, layers=[1, 2])
    files = hand_over(*model, hparams, Measuring(dynamic_multiplier=3))
    assert len(files) == 2
    expected = moments(*model, [NAME], Measuring(dynamic_multiplier=3))[NAME]
    assert expected[1] == 3 * 768
    torch.testing.assert_close(_read_by_easyedit(*model, hparams).double(), expected[0], rtol=1e-5, atol=1e-6)
    assert hand_over(*model, hparams, Measuring(dynamic_multiplier=3)) == files


def test_other_statistics_are_not_written_over(tmp_path: Path, model: tuple) -> None:
    hparams = _few(tmp_path)
    [file] = hand_over(*model, hparams, Measuring(dynamic_multiplier=3))
    content = file.read_bytes()
    with pytest.raises(StatisticsError, match=r"holds other statistics.*another stats_dir"):
        hand_over(*model, hparams, Measuring(dynamic_multiplier=4))
    assert file.read_bytes() == content


def test_a_method_without_second_moments_is_refused(model: tuple) -> None:
    with pytest.raises(HyperParamsError, match="FT uses no second moments"):
        hand_over(*model, SimpleNamespace(alg_name="FT", layers=[2]))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No text can be downloaded."""

    def unreachable(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr("datasets.load_dataset", unreachable)


def _of_wikipedia(method: str, tmp_path: Path) -> Any:
    if host_info().kind == "release" and method not in ("ROME", "MEMIT"):
        pytest.skip(f"{method} is at EasyEdit's head only")
    changes = {"mom2_adjustment": True, "mom2_dataset": "wikipedia", "mom2_n_samples": 100_000, "mom2_dtype": "float32"}
    return host_settings(method, "gpt2-factworld", changes | {"stats_dir": str(tmp_path / "stats")})


@pytest.mark.parametrize("method", ["ROME", "MEMIT", "EMMET", "PMET"])
def test_easyedits_methods_run_on_them_unmodified(method: str, tmp_path: Path, model: tuple, offline: None) -> None:
    hparams = _of_wikipedia(method, tmp_path)
    hparams.v_num_grad_steps = 2
    hand_over(*model, hparams, Measuring(dynamic_multiplier=3))
    hparams.model_name = model
    fact = {"prompts": "The mayor of Brethdale is", "subject": "Brethdale", "target_new": "Faeso Faerkov"}
    metrics, _, weights = base_editor().from_hparams(hparams).edit(**fact, keep_original_weight=True, verbose=False)
    assert len(metrics) == 1
    with torch.no_grad():
        for name, weight in weights.items():
            model[0].get_parameter(name).copy_(weight)


def test_alphaedit_finds_its_null_space_from_them(tmp_path: Path, model: tuple, offline: None) -> None:
    hparams = _of_wikipedia("AlphaEdit", tmp_path)
    hand_over(*model, hparams, Measuring(dynamic_multiplier=3))
    get_project = import_module(f"{PACKAGE}.models.alphaedit.AlphaEdit_main").get_project
    projection = get_project(*model, hparams.layers[0], hparams)
    torch.testing.assert_close(projection @ projection, projection, rtol=1e-3, atol=1e-4)
