"""Methods by name, with presets and settings."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from quick_methods import EXAMPLES, QUICK, available

from easyedit_ice import ALGORITHMS, factworld
from easyedit_ice.bench.methods import METHODS, make_method
from easyedit_ice.easyedit import base_editor, host_info
from easyedit_ice.easyedit.locate import PACKAGE
from easyedit_ice.easyedit.methods.catalogue import HOST_METHODS, LEFT_OUT
from easyedit_ice.errors import HostError, HyperParamsError, UnknownAlgorithmError

PRESETS = Path(__file__).parents[3] / "hparams"
NAMED = SimpleNamespace(name="gpt2-factworld", device="cpu", dtype="auto")


@pytest.mark.parametrize("name", available())
def test_the_embedded_model_has_a_preset_for_every_method(name: str) -> None:
    made = make_method(name, model=NAMED, settings=QUICK[name], examples=EXAMPLES)
    assert made.name == name
    assert json.loads(json.dumps(made.settings())) == made.settings()
    assert made.settings()["model_name"] == "gpt2-factworld"


def test_settings_take_precedence_over_the_preset_and_are_told() -> None:
    made = make_method("FT", model=NAMED, settings={"num_steps": 7, "lr": 0.25})
    assert (made.hparams.num_steps, made.hparams.lr) == (7, 0.25)
    assert made.settings()["num_steps"] == 7


def test_a_preset_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text((PRESETS / "FT" / "gpt2-factworld.yaml").read_text().replace("num_steps: 25", "num_steps: 9"))
    assert make_method("FT", model=NAMED, preset=file, settings={}).hparams.num_steps == 9


def test_a_misspelt_setting_is_refused_with_a_suggestion() -> None:
    with pytest.raises(HyperParamsError, match=r"no setting 'num_step'.*Did you mean 'num_steps'"):
        make_method("FT", model=NAMED, settings={"num_step": 7})


def test_a_misspelt_setting_of_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("alg_name: FT\nnum_stepz: 4\n")
    with pytest.raises(HyperParamsError, match=r"mine\.yaml.*num_stepz.*Did you mean 'num_steps'"):
        make_method("FT", model=NAMED, preset=file, settings={})


def test_settings_that_are_missing_are_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("alg_name: FT\nnum_steps: 4\n")
    with pytest.raises(HyperParamsError, match="rewrite_module_tmp"):
        make_method("FT", model=NAMED, preset=file, settings={})


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(HyperParamsError, match=r"FT/gpt2-facworld.*Did you mean 'gpt2-factworld'"):
        make_method("FT", model=NAMED, preset="gpt2-facworld", settings={})


def test_an_unknown_method_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownAlgorithmError, match="Did you mean 'MEMIT'"):
        make_method("MEMITT", model=NAMED, settings={})


def test_methods_of_easyedit_that_are_left_out_say_why() -> None:
    with pytest.raises(UnknownAlgorithmError, match="trained to edit first"):
        make_method("MEND", model=NAMED, settings={})


def test_methods_of_head_are_refused_on_the_release() -> None:
    if host_info().kind != "release":
        pytest.skip("EasyEdit's head is loaded")
    with pytest.raises(HostError, match="EASYEDIT_HOME"):
        make_method("WISE", model=NAMED, settings={}, examples=EXAMPLES)


def test_methods_of_easyedit_are_those_it_has_or_are_left_out() -> None:
    base_editor()
    has = set(import_module(f"{PACKAGE}.util.alg_dict").ALG_DICT)
    assert set(available()) & HOST_METHODS.keys() == HOST_METHODS.keys() & has - {"EAMET"}
    assert has - HOST_METHODS.keys() - LEFT_OUT.keys() - ALGORITHMS.keys() == set()


def test_every_method_of_easyedit_has_its_preset_in_the_repository() -> None:
    without = {name for name in METHODS if not (PRESETS / name / "gpt2-factworld.yaml").is_file()}
    assert without == {"Prompt", "Retrieval", "EAMET"}


def test_a_model_that_is_loaded_already_is_edited_in_place() -> None:
    model, tok = factworld.load()
    made = make_method("FT", model=(model, tok), settings=QUICK["FT"])
    assert made.model is model
    assert made.tok is tok


def test_wise_is_refused_without_texts_to_keep() -> None:
    if host_info().kind != "head":
        pytest.skip("WISE is in EasyEdit's head only")
    with pytest.raises(HyperParamsError, match="locality probes"):
        make_method("WISE", model=NAMED, settings={})
