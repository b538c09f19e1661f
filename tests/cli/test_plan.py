"""``easyedit-ice plan`` on folders that hold a configuration and nothing else."""

from __future__ import annotations

import json

import pytest

from easyedit_ice.cli import main
from easyedit_ice.edit.registry import ALGORITHMS

EVERY = pytest.mark.parametrize("name", [name for name, algorithm in ALGORITHMS.items() if algorithm.plan])


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Llama 2 7B's configuration."""
    from transformers import LlamaConfig

    folder = tmp_path_factory.mktemp("plan") / "a-llama"
    LlamaConfig(
        hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, vocab_size=32000, dtype="bfloat16"
    ).save_pretrained(folder)
    assert [file.name for file in folder.iterdir()] == ["config.json"]
    return str(folder)


def plan(capsys: pytest.CaptureFixture, *arguments: str) -> dict:
    assert main(["plan", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_seven_billion_weights_are_planned_for_without_being_loaded(llama, capsys):
    found = plan(capsys, "LoRA-BF", "--model", llama, "--set", "layers=[4,5,6,7,8]")
    assert found["weights"] == pytest.approx(6_738_415_616 * 2, rel=1e-6)
    assert found["trained"] == 5 * 16 * (4096 + 11008)
    assert found["gpu"] == "16 GB"


def test_four_bits_fit_into_less(llama, capsys):
    found = plan(capsys, "QLoRA-BF", "--model", llama, "--set", "layers=[4,5,6,7,8]")
    assert found["weights"] < 4 * 2**30
    assert found["gpu"] == "8 GB"


@EVERY
def test_the_plan_of_an_algorithm_is_shown(name, llama, capsys):
    found = plan(capsys, name, "--model", llama, "--facts", "2", "--tokens", "20")
    assert found["peak"] > found["weights"]


def test_more_and_longer_facts_take_more(llama, capsys):
    few = plan(capsys, "LoRA-BF", "--model", llama)
    more = plan(capsys, "LoRA-BF", "--model", llama, "--facts", "4")
    longer = plan(capsys, "LoRA-BF", "--model", llama, "--facts", "4", "--tokens", "64")
    assert few["activations"] < more["activations"] < longer["activations"]


def test_the_table_names_the_gpu(llama, capsys):
    settings = ("--set", "gradient_checkpointing=true", "--set", "depth=[0,1]")
    assert main(["plan", "ICE-LoRA", "--model", llama, *settings]) == 0
    shown = capsys.readouterr().out
    assert "Trained values: 7,733,248" in shown
    assert "Smallest common GPU" in shown


def test_the_embedded_model_is_planned_for_by_its_preset(capsys):
    found = plan(capsys, "LoRA-BF")
    assert found["device"] == "cpu"
    assert found["trained"] == 6 * 16 * (768 + 192)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["LoRA"], "UnknownAlgorithmError: there is no algorithm 'LoRA'"),
        (["LoRA-BF", "--model", "/no/such/folder"], "LoadingError: there is no folder '/no/such/folder'"),
        (["LoRA-BF", "--set", "rank=0"], "HyperParamsError: --set rank=0: rank is 0; expected at least 1"),
        (["LoRA-BF", "--set", "layers=[99]"], "AnatomyError: layer 99 does not exist"),
    ],
)
def test_what_the_user_can_mend_is_named(arguments, words, capsys):
    assert main(["plan", *arguments]) == 2
    assert words in capsys.readouterr().err
