"""Hyperparameters load from anywhere, and say what is wrong with them."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
import yaml

from easyedit_ice.edit.hparams import EditHyperParams, setting
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.editors.algorithms.ice_lora import IceLoraHyperParams
from easyedit_ice.editors.algorithms.lora import LoraHyperParams
from easyedit_ice.editors.gradient.protection.subspaces import ProtectionSettings
from easyedit_ice.editors.gradient.training_settings import TrainingHyperParams
from easyedit_ice.errors import HyperParamsError

FOLDER = Path(__file__).resolve().parents[2] / "hparams"
PRESETS = sorted(path for path in FOLDER.rglob("*.yaml") if path.parent.name in ALGORITHMS)  # the others are EasyEdit's
CLASSES = [ALGORITHMS[name].hparams_class for name in sorted(ALGORITHMS)]
EVERY_CLASS = pytest.mark.parametrize("cls", CLASSES, ids=[cls.__name__ for cls in CLASSES])
OURS = [cls for cls in CLASSES if cls.__module__.startswith("easyedit_ice.")]
EVERY_CLASS_OF_OURS = pytest.mark.parametrize("cls", OURS, ids=[cls.__name__ for cls in OURS])
VALUES = {"alg_name": "ICE-LoRA", "rank": 7, "lr": 3e-4, "layers": [1, -1], "stop_nll": None}


@pytest.fixture
def yaml_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(VALUES))
    return path


def _holds_values(hparams: IceLoraHyperParams) -> bool:
    return all(getattr(hparams, name) == value for name, value in VALUES.items())


def test_a_yaml_file_is_loaded(yaml_file):
    assert _holds_values(IceLoraHyperParams.from_hparams(yaml_file))
    assert _holds_values(IceLoraHyperParams.from_hparams(str(yaml_file)))


def test_the_suffix_may_be_left_out(yaml_file):
    assert _holds_values(IceLoraHyperParams.from_hparams(str(yaml_file.with_suffix(""))))


@pytest.mark.parametrize("load", [IceLoraHyperParams.from_json, IceLoraHyperParams.from_hparams])
def test_a_json_file_is_loaded(tmp_path, load):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(VALUES))
    assert _holds_values(load(path))


def test_a_mapping_is_loaded():
    assert _holds_values(IceLoraHyperParams.from_dict(VALUES))


@pytest.mark.parametrize(
    "name",
    [
        "brief",
        "ICE-LoRA/brief",
        "ICE-LoRA/brief.yaml",
        "./hparams/ICE-LoRA/brief",
        "./hparams/ICE-LoRA/brief.yaml",
        "../hparams/ICE-LoRA/brief.yaml",
        "hparams\\ICE-LoRA\\brief",
    ],
)
def test_a_preset_is_found_by_name_from_any_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert IceLoraHyperParams.from_hparams(name).ice_weight == 0.5


def test_a_file_of_the_users_comes_before_a_preset_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("brief.yaml").write_text("alg_name: ICE-LoRA\nrank: 3\n")
    assert IceLoraHyperParams.from_hparams("brief").rank == 3


def test_overrides_win_over_the_file_and_are_checked(yaml_file):
    assert IceLoraHyperParams.from_hparams(yaml_file, rank=2, lr="1e-2").rank == 2
    with pytest.raises(HyperParamsError, match="rank is 0"):
        IceLoraHyperParams.from_hparams(yaml_file, rank=0)


def test_an_unknown_preset_gets_a_suggestion_and_the_list():
    with pytest.raises(HyperParamsError, match=r"'ICE-LoRA/breif'.*Did you mean 'ICE-LoRA/brief'\?.*paper_code"):
        IceLoraHyperParams.from_hparams("ICE-LoRA/breif")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("bad.yaml", "a: [", "not valid YAML"),
        ("bad.json", "{", "not valid JSON"),
        ("bad.yaml", "- a list", "must map the names of settings to values"),
        ("bad.yaml", "", "must map"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(HyperParamsError, match=words) as caught:
        IceLoraHyperParams.from_hparams(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rnak": 3}, r"IceLoraHyperParams has no setting 'rnak'. Did you mean 'rank'\? .*hparams ICE-LoRA. lists all"),
        ({"rank": "many"}, "rank is 'many'; expected int: rank of each projection"),
        ({"rank": 2.5}, "rank is 2.5; expected int"),
        ({"rank": None}, "rank is None; expected int"),
        ({"lr": "fast"}, r"lr is 'fast'; expected float \| None: learning rate"),
        ({"layers": 3}, "layers is 3"),
        ({"layers": ["first"]}, "layers is"),
        ({"append_eos": "perhaps"}, "append_eos is 'perhaps'; expected bool"),
        ({"rank": 0}, "rank is 0; expected at least 1: rank of each projection"),
        ({"lr": 0}, "lr is 0.0; expected greater than 0"),
        ({"lr": -1e-3}, "lr is -0.001; expected greater than 0"),
        ({"lora_dropout": 1.5}, "lora_dropout is 1.5; expected at most 1"),
        ({"stop_nll": 0}, "stop_nll is 0.0; expected greater than 0"),
        ({"dtype": "int8"}, "dtype is 'int8'; expected one of auto, float32, bfloat16, float16"),
        ({"quantization_bit": 3}, "quantization_bit is 3; expected one of 4, 8"),
        ({"teacher": "wise"}, "teacher is 'wise'; expected one of static, dynamic"),
        ({"mixed_precision": "fp16"}, "mixed_precision is 'fp16'; expected one of no, bf16"),
        ({"alg_name": "LoRA"}, "alg_name is 'LoRA', but IceLoraHyperParams is for 'ICE-LoRA'"),
        ({"context_sources": ["news"]}, r"context_sources is \['news'\]; expected some of template, record, model"),
        ({"context_sources": []}, r"context_sources is \[\]"),
        ({"context_templates": []}, "context_templates is empty"),
        ({"context_templates": ["No fact here. "]}, "'No fact here. ' must state the fact"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_was_expected(values, words):
    with pytest.raises(HyperParamsError, match=words):
        IceLoraHyperParams.from_dict(values)


@pytest.mark.parametrize("template", ["{fact} {unknown}", "{fact} {", "{fact} {}"])
def test_a_template_with_other_placeholders_is_refused(template):
    with pytest.raises(HyperParamsError, match="context template"):
        IceLoraHyperParams(context_templates=[template])


@EVERY_CLASS
def test_every_boolean_refuses_a_number(cls):
    for name in (name for name, kind, *_ in cls.describe() if kind.startswith("bool")):
        for given in (cls.from_dict, lambda values: cls(**values)):
            with pytest.raises(HyperParamsError, match=rf"{name} is 2; expected (bool|true or false)"):
                given({name: 2})


@pytest.mark.parametrize("value", [1, 0, -1, 0.5, "2", "1e3", "perhaps", [True]])
def test_what_is_no_boolean_is_refused_in_a_file(value, tmp_path):
    file = tmp_path / "numbers.yaml"
    file.write_text(yaml.safe_dump({"gradient_checkpointing": value}))
    with pytest.raises(HyperParamsError, match=r"gradient_checkpointing is .*; expected bool"):
        LoraHyperParams.from_hparams(file)


@pytest.mark.parametrize(("word", "meant"), [("yes", True), ("False", False), ("off", False), ("TRUE", True)])
def test_a_boolean_may_be_a_word_of_yamls(word, meant):
    assert LoraHyperParams.from_dict({"gradient_checkpointing": word}).gradient_checkpointing is meant


def test_the_constructor_checks_bounds_as_well():
    with pytest.raises(HyperParamsError, match="rank is 0"):
        IceLoraHyperParams(rank=0)


@pytest.mark.parametrize(
    ("text", "number"), [("1e-4", 1e-4), ("5E-3", 5e-3), ("1.0e-3", 1e-3), ("0.25", 0.25), ("2", 2.0)]
)
def test_numbers_written_as_text_are_numbers(tmp_path, text, number):
    path = tmp_path / "mine.yaml"
    path.write_text(f"alg_name: ICE-LoRA\nlr: {text}\nice_weight: '{text}'\n")
    hparams = IceLoraHyperParams.from_hparams(path)
    assert (hparams.lr, hparams.ice_weight) == (number, number)


def test_a_whole_number_in_scientific_notation_is_an_int():
    assert LoraHyperParams.from_dict({"num_steps": "1e2"}).num_steps == 100


@pytest.mark.parametrize("name", ["1e5", "nan", "infinity", "007"])
def test_a_models_name_that_looks_like_a_number_stays_a_name(name):
    assert LoraHyperParams.from_dict({"model_name": name}).model_name == name


def test_a_setting_that_is_not_a_number_is_refused():
    with pytest.raises(HyperParamsError, match="lr is nan"):
        LoraHyperParams.from_dict({"lr": "nan"})


@pytest.mark.parametrize("device", ["cpu", "cuda:0", 0, None])
def test_the_device_may_be_a_name_a_number_or_none(device):
    assert LoraHyperParams.from_dict({"device": device}).device == device


@EVERY_CLASS
def test_every_setting_has_help_text_and_is_described(cls):
    described = cls.describe()
    assert [name for name, *_ in described] == [field.name for field in fields(cls)]
    assert all(help_text.strip() for *_, help_text in described)


@EVERY_CLASS
def test_settings_survive_the_way_through_a_mapping(cls):
    assert cls.from_dict(cls().to_dict()) == cls()


@EVERY_CLASS
def test_the_classes_are_structured_configs_of_omegaconf(cls):
    from omegaconf import OmegaConf
    from omegaconf.errors import ValidationError

    config = OmegaConf.structured(cls)
    merged = OmegaConf.merge(config, OmegaConf.from_dotlist(["seed=3", "model_name=mine"]))
    assert OmegaConf.to_object(merged) == cls(seed=3, model_name="mine")
    with pytest.raises(ValidationError):
        config.seed = "many"


@EVERY_CLASS
def test_lists_are_not_shared_between_instances(cls):
    lists = [field.name for field in fields(cls) if isinstance(getattr(cls(), field.name), list)]
    for name in lists:
        before = list(getattr(cls(), name))
        getattr(cls(), name).append("more")
        assert getattr(cls(), name) == before


@EVERY_CLASS
def test_auto_names_the_defaults_and_takes_overrides(cls, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cls.from_hparams("auto") == cls.from_hparams(f"{cls().alg_name}/auto") == cls()
    assert cls.from_hparams("auto", seed=3) == cls(seed=3)
    with pytest.raises(HyperParamsError, match=r"given singly.*has no setting 'sede'"):
        cls.from_hparams("auto", sede=3)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"step_drift": 0}, "step_drift is 0.0; expected greater than 0"),
        ({"warn_drift": -1}, "warn_drift is -1.0; expected greater than 0"),
        ({"max_drift": "much"}, "max_drift is 'much'; expected float"),
        ({"depth": 0.3}, "depth is 0.3"),
    ],
)
def test_bounds_of_what_an_edit_may_move_are_checked(values, words):
    with pytest.raises(HyperParamsError, match=words):
        LoraHyperParams.from_dict(values)


def test_replacing_gives_a_checked_copy():
    hparams = IceLoraHyperParams()
    assert hparams.replace(rank=3).rank == 3
    assert hparams.rank == IceLoraHyperParams().rank
    with pytest.raises(HyperParamsError, match="Did you mean 'rank'"):
        hparams.replace(rnak=3)


@pytest.mark.parametrize("make", [lambda **values: LoraHyperParams(**values), LoraHyperParams.from_dict])
def test_a_setting_of_other_algorithms_is_refused_with_their_names(make):
    with pytest.raises(HyperParamsError, match=r"LoraHyperParams has no setting 'answers'.*that have it: SVF\."):
        make(answers=3) if make.__name__ == "<lambda>" else make({"answers": 3})


def test_a_setting_of_earlier_versions_is_passed_over_where_it_changed_nothing_and_refused_elsewhere():
    earlier = {"adapter": "lora", "objective": "ft", "protection": "none", "answers": 16, "svd_rank": None, "rank": 3}
    assert LoraHyperParams.from_dict(earlier) == LoraHyperParams(rank=3)
    for name, value in (("adapter", "dense"), ("objective", "ice"), ("protection", "soft"), ("answers", 3)):
        with pytest.raises(HyperParamsError, match=f"has no setting '{name}'"):
            LoraHyperParams.from_dict({**earlier, name: value})


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if issubclass(cls, TrainingHyperParams)])
def test_an_algorithm_that_trains_has_the_sections_of_what_it_can_choose_and_no_others(cls):
    own = {field.name for field in fields(cls)} - {"adapter", "objective"}
    chosen = [*cls.adapters.values(), *cls.objectives.values(), TrainingHyperParams]
    if issubclass(cls, ProtectionSettings):
        chosen.append(ProtectionSettings)
    assert own == {field.name for kind in chosen for field in fields(kind)}
    for name, choices in (("adapter", cls.adapters), ("objective", cls.objectives)):
        choice = [field.metadata["choices"] for field in fields(cls) if field.name == name]
        assert choice == ([tuple(choices)] if len(choices) > 1 else [])


def test_an_algorithm_of_ones_own_gets_all_of_this():
    @dataclass
    class Mine(EditHyperParams):
        alg_name: str = setting("Mine", "name")
        strength: float = setting(1.0, "how strongly", low=0)

    assert Mine.from_dict({"strength": "5e-1"}).strength == 0.5
    with pytest.raises(HyperParamsError, match=r"strength is -1\.0; expected at least 0: how strongly"):
        Mine.from_dict({"strength": -1})
    with pytest.raises(HyperParamsError, match="alg_name is 'ICE-LoRA', but Mine is for 'Mine'"):
        Mine.from_hparams("ICE-LoRA/brief")


@pytest.mark.parametrize("path", PRESETS, ids=[str(path.relative_to(FOLDER)) for path in PRESETS])
def test_every_preset_loads_with_the_class_of_its_folder(path):
    cls = ALGORITHMS[path.parent.name].hparams_class
    name = f"{path.parent.name}/{path.stem}"
    assert name in cls.presets()
    assert cls.from_hparams(name) == cls.from_hparams(path)


@EVERY_CLASS_OF_OURS
def test_the_embedded_model_has_a_preset_and_of_the_usual_models_all_or_none(cls):
    models = {"gpt2-medium", "gpt2-xl", "gpt-j-6b", "llama2-7b", "llama3-8b", "llama3.2-1b", "qwen2.5-7b", "mistral-7b"}
    named = {preset.partition("/")[2] for preset in cls.presets()}
    assert "gpt2-factworld" in named
    assert models & named in (set(), models)


@pytest.mark.parametrize("cls", [cls for cls in OURS if issubclass(cls, TrainingHyperParams)])
def test_the_low_rank_editors_have_the_settings_for_comparison(cls):
    assert f"{cls().alg_name}/brief" in cls.presets()


def test_the_papers_preset_has_no_term_the_paper_lacks():
    hparams = IceLoraHyperParams.from_hparams("paper_code")
    assert (hparams.ice_weight, hparams.context_nll_weight) == (1, 1)
    assert (hparams.free_weight, hparams.locality_weight, hparams.neighbour_weight) == (0, 0, 0)
    assert hparams.stop_nll is None


def test_locft_changes_the_block_that_the_paper_names_for_a_model():
    locft = ALGORITHMS["LocFT-BF"].hparams_class
    assert {name: locft.from_hparams(name).layers for name in ("llama3-8b", "qwen2.5-7b")} == {
        "llama3-8b": [22],
        "qwen2.5-7b": [6],
    }


@pytest.mark.parametrize(
    "text",
    [
        "model_name: ${oc.env:HOME}",
        "model_name: ${oc.env:NO_SUCH_VARIABLE,x}",
        "model_name: ${alg_name}",
        "target_modules: ['${oc.env:HOME}']",
        "rank: ???",
        "layers: &x [*x]",
        "rank: &a {rank: *a}",
        "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\nd: &d [*c, *c, *c, *c]\n"
        "e: &e [*d, *d, *d, *d]\nf: &f [*e, *e, *e, *e]\nlayers: [*f, *f, *f, *f]",
        f"layers: {'[' * 100_000}",
        "rank: 1" + "0" * 400,
        "rank: 1.0e30",
        "lr: .nan",
        "lr: .inf",
        "weight_decay: .inf",
        "activation_budget: .inf",
        "seed: 9223372036854775808",
        "seed: -1",
        "locality_samples: 1.0e+30",
        "layers: [.nan]",
        'model_name: "\\ud800"',
    ],
)
def test_a_strangers_preset_fills_in_nothing_and_asks_for_nothing_without_end(tmp_path, text):
    path = tmp_path / "theirs.yaml"
    path.write_text(text)
    with pytest.raises(HyperParamsError) as caught:
        LoraHyperParams.from_hparams(path)
    assert len(str(caught.value)) < 2000
    assert str(Path.home()) not in str(caught.value).replace(str(tmp_path), "")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "LoRA-BF/" + "y" * 5000])
def test_a_name_that_no_file_can_have_is_no_preset(name):
    with pytest.raises(HyperParamsError, match="no file and no preset"):
        LoraHyperParams.from_hparams(name)


def test_json_nested_without_end_is_refused(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(HyperParamsError, match="nested too deeply"):
        LoraHyperParams.from_hparams(tmp_path / "deep.json")


@pytest.mark.parametrize("values", [{"rank": "many"}, {"lr": "fast"}, {"seed": 2**63}, {"lr": 1e999}])
def test_settings_made_without_a_file_are_checked_as_well(values):
    with pytest.raises(HyperParamsError):
        LoraHyperParams(**values)
