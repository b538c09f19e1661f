"""Editing with our algorithms, and with EasyEdit's own."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from stage import EASYEDIT_FIRST, PLUGIN_FIRST, Skipped, World, behaviour, raises


@behaviour(PLUGIN_FIRST, EASYEDIT_FIRST)
def our_edits_are_restored_bit_exactly(world: World) -> None:
    editor = world.editor()
    before = world.state(editor)
    metrics, _, _ = world.edit(editor, stay=False)
    assert world.state(editor) == before
    assert len(metrics) == 2
    locality = metrics[0]["post"]["locality"]["neighborhood_acc"]
    assert locality[0] < 1, "the edit was not in the model when it was evaluated"


@behaviour(PLUGIN_FIRST, EASYEDIT_FIRST)
def our_edits_stay_when_asked_to(world: World) -> None:
    import torch

    editor = world.editor()
    before = editor.model.get_parameter(world.weight).clone()
    world.edit(editor, stay=True)
    change = editor.model.get_parameter(world.weight) - before
    assert torch.allclose(change.abs(), torch.full_like(change, 0.2), atol=1e-6), "two facts of 0.1 each"


@behaviour()
def our_batches_are_solved_together_and_restored_when_asked_to(world: World) -> None:
    editor = world.editor(batch_size=2)
    before = world.state(editor)
    options = {} if world.kind == "head" else {"keep_original_weight": True}
    metrics, _, _ = editor.batch_edit(**world.facts("prompts", "target_new", "ground_truth"), **options)
    assert [set(case) >= {"pre", "post", "time"} for case in metrics] == [True, True]
    assert metrics[0]["time"] == metrics[1]["time"], "one solve for both"
    assert world.state(editor) == before


@behaviour()
def our_batches_stay_when_asked_to(world: World) -> None:
    import torch

    editor = world.editor(batch_size=2)
    before = editor.model.get_parameter(world.weight).clone()
    options = {"sequential_edit": True} if world.kind == "head" else {}
    editor.batch_edit(**world.facts("prompts", "target_new", "ground_truth"), **options)
    change = editor.model.get_parameter(world.weight) - before
    assert torch.allclose(change.abs(), torch.full_like(change, 0.2), atol=1e-6)


@behaviour()
def edits_that_stayed_are_asked_again_once_all_are_in_force(world: World) -> None:
    from easyedit_ice import retained

    editor = world.editor()
    unedited = copy.deepcopy(editor.model)
    metrics, _, _ = world.edit(editor, stay=True)
    before = world.state(editor)

    first, last = retained(editor, metrics, unedited=unedited)
    assert world.state(editor) == before
    assert last["retained"] == last["post"] == metrics[1]["post"], "no edit came after the last"
    assert first["retained"].keys() == first["post"].keys()
    assert first["retained"]["locality"].keys() == first["post"]["locality"].keys()

    again, _ = retained(editor, metrics)
    assert again["retained"]["rewrite_acc"] == first["retained"]["rewrite_acc"]
    assert again["retained"]["locality"] == {}

    editor.model.load_state_dict(unedited.state_dict())
    undone, _ = retained(editor, metrics, unedited=unedited)
    assert undone["retained"]["rewrite_acc"] == undone["pre"]["rewrite_acc"]
    assert set(undone["retained"]["locality"]["neighborhood_acc"]) == {1.0}


@behaviour()
def requests_in_knowedit_form_are_edited(world: World) -> None:
    editor = world.editor()
    before = world.state(editor)
    requests = [
        {"prompt": prompt, "target_new": target, "ground_truth": "", "portability": {}, "locality": {}}
        for prompt, target in zip(*world.facts("prompts", "target_new").values(), strict=True)
    ]
    options = {} if world.kind == "head" else {"keep_original_weight": True}
    metrics, _, _ = editor.edit_requests(requests, **options)
    assert len(metrics) == 2
    assert world.state(editor) == before


@behaviour()
def a_fact_without_a_kind_of_probe_is_edited_beside_one_that_has_it(world: World) -> None:
    editor = world.editor()
    facts = world.facts("prompts", "target_new", "ground_truth")
    locality = {"neighborhood": {"prompt": [["The sky is"], None], "ground_truth": [["blue"], None]}}
    metrics, _, _ = editor.edit(**facts, locality_inputs=locality)
    assert [set(case["post"]["locality"]) >= {"neighborhood_acc"} for case in metrics] == [True, False]


@behaviour(PLUGIN_FIRST, EASYEDIT_FIRST)
def an_edit_whose_scoring_is_interrupted_is_undone(world: World) -> None:
    editor = world.editor()
    before = world.state(editor)

    def interrupt(module: Any, args: Any) -> None:
        if world.state(editor) != before:
            raise KeyboardInterrupt

    handle = editor.model.register_forward_pre_hook(interrupt)
    try:
        with raises(KeyboardInterrupt):
            world.edit(editor, stay=False)
    finally:
        handle.remove()
    assert world.state(editor) == before


@behaviour()
def the_users_hyperparameters_are_left_as_they_were(world: World) -> None:
    hparams = world.toys.ToyHyperParams(model_name=str(world.gpt2), device=None)
    before = copy.deepcopy(hparams)
    editor = world.BaseEditor.from_hparams(hparams)
    world.edit(editor, stay=False)
    assert hparams == before
    assert editor.hparams.model_name == editor.model_name == str(world.gpt2)


@behaviour()
def a_path_with_t5_in_it_loads_the_model_that_is_there(world: World) -> None:
    folder = world.toys.save_llama(world.folder / "t50" / "llama")
    editor = world.editor(model_name=str(folder))
    assert editor.model.config.model_type == "llama"
    assert "t5" not in editor.model_name, "EasyEdit's evaluation would take it for a T5"
    metrics, _, _ = world.edit(editor, stay=False)
    assert len(metrics) == 2


@behaviour()
def a_model_and_tokenizer_can_be_given_and_evaluated(world: World) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    pair = AutoModelForCausalLM.from_pretrained(world.gpt2), AutoTokenizer.from_pretrained(world.gpt2)
    editor = world.editor(model_name=pair)
    assert editor.model is pair[0]
    metrics, _, _ = world.edit(editor, stay=False)
    assert len(metrics) == 2
    assert isinstance(editor.model_name, str)


@behaviour()
def a_model_and_tokenizer_can_be_given_to_easyedits_own_algorithms(world: World) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    pair = AutoModelForCausalLM.from_pretrained(world.gpt2), AutoTokenizer.from_pretrained(world.gpt2)
    editor = world.own_editor("FT", model_name=pair)
    assert len(world.edit(editor, stay=False)[0]) == 2


@behaviour()
def the_tokenizer_pads_on_the_side_of_the_algorithm(world: World) -> None:
    from easyedit_ice import ALGORITHMS

    ALGORITHMS.add(replace(world.toys.TOY, name="Toy-right", padding_side="right"))
    try:
        assert world.editor(alg_name="Toy-right").tok.padding_side == "right"
        assert world.editor().tok.padding_side == "left"
    finally:
        ALGORITHMS.remove("Toy-right")


@behaviour()
def an_algorithm_added_after_registration_is_found(world: World) -> None:
    from easyeditor.util.alg_dict import ALG_DICT

    from easyedit_ice import ALGORITHMS

    ALGORITHMS.add(replace(world.toys.TOY, name="Toy-late"))
    try:
        assert "Toy-late" not in ALG_DICT
        assert world.editor(alg_name="Toy-late").alg_name == "Toy-late"
    finally:
        ALGORITHMS.remove("Toy-late")


@behaviour()
def edits_on_a_gpu_are_restored_bit_exactly(world: World) -> None:
    import torch

    if not torch.cuda.is_available():
        raise Skipped("needs a GPU")
    for editor in (world.editor(device=0), world.own_editor("ROME", device=0)):
        before = world.state(editor)
        world.edit(editor, stay=False)
        assert editor.model.device == torch.device("cuda:0")
        assert world.state(editor) == before


@behaviour()
def ice_lora_edits_through_base_editor(world: World) -> None:
    from easyedit_ice import IceLoraHyperParams

    hparams = IceLoraHyperParams(model_name=str(world.gpt2), device="cpu", num_steps=2)
    editor = world.BaseEditor.from_hparams(hparams)
    before = world.state(editor)
    metrics, _, _ = world.edit(editor, stay=False)
    assert world.state(editor) == before
    world.edit(editor, stay=True)
    assert world.state(editor) != before
    assert len(metrics) == 2


def _own_algorithm_restores_and_stays(world: World, name: str, **changes: Any) -> None:
    editor = world.own_editor(name, **changes)
    before = world.state(editor)
    metrics, _, _ = world.edit(editor, stay=False)
    assert world.state(editor) == before
    assert len(metrics) == 2
    assert "rewrite_acc" in metrics[1]["post"]
    world.edit(editor, stay=True)
    assert world.state(editor) != before


@behaviour(PLUGIN_FIRST, EASYEDIT_FIRST)
def easyedits_rome_works_on_the_cpu(world: World) -> None:
    _own_algorithm_restores_and_stays(world, "ROME")


@behaviour(PLUGIN_FIRST, EASYEDIT_FIRST)
def easyedits_ft_works_on_the_cpu(world: World) -> None:
    _own_algorithm_restores_and_stays(world, "FT")


@behaviour(PLUGIN_FIRST, EASYEDIT_FIRST)
def easyedits_memit_works_on_the_cpu_with_cached_statistics(world: World) -> None:
    world.save_statistics()
    _own_algorithm_restores_and_stays(world, "MEMIT")


@behaviour(PLUGIN_FIRST, EASYEDIT_FIRST)
def easyedits_lora_works_on_the_cpu(world: World) -> None:
    _own_algorithm_restores_and_stays(world, "LoRA")


@behaviour()
def names_and_gguf_files_that_easyedit_does_not_know_serve_its_own_algorithms(world: World) -> None:
    import sys
    from pathlib import Path

    sys.path.append(str(Path(__file__).parent.parent / "checkpoints"))
    from made_gguf import tiny_llama, write_gguf

    file = write_gguf(tiny_llama(), world.folder / "tiny.gguf")
    modules = {"rewrite_module_tmp": "model.layers.{}.mlp.down_proj", "layer_module_tmp": "model.layers.{}"}
    for name, model_type, changes in (("gpt2-factworld", "gpt2", {}), (str(file), "llama", modules)):
        editor = world.own_editor("FT", model_name=name, **changes)
        assert editor.model.config.model_type == model_type
        assert editor.tok.padding_side == "left"
        before = world.state(editor)
        metrics, _, _ = world.edit(editor, stay=False)
        assert len(metrics) == 2
        assert world.state(editor) == before


@behaviour()
def easyedits_presets_device_0_works_without_a_gpu_in_the_release(world: World) -> None:
    if world.kind == "head":
        raise Skipped("head takes the number for a GPU's, as it says")
    assert len(world.edit(world.own_editor("FT", device=0), stay=False)[0]) == 2


@behaviour()
def easyedits_ike_without_its_encoder_says_what_to_install(world: World) -> None:
    from easyedit_ice.easyedit.loading.placeholders import stood_in
    from easyedit_ice.errors import MissingPackageError

    if "sentence_transformers" not in stood_in:
        raise Skipped("sentence-transformers is installed")
    editor = world.own_editor("IKE")
    with raises(MissingPackageError, "pip install sentence-transformers"):
        world.edit(editor, stay=False, train_ds=world.demonstrations)


@behaviour(EASYEDIT_FIRST)
def easyedits_ike_works_with_a_sentence_encoder(world: World) -> None:
    from easyeditor.models.ike import encode_ike_facts
    from sentence_transformers import SentenceTransformer

    editor = world.own_editor("IKE")
    before = world.state(editor)
    encode_ike_facts(SentenceTransformer("toy-encoder"), world.demonstrations, editor.hparams)
    metrics, _, _ = world.edit(editor, stay=False, train_ds=world.demonstrations)
    assert len(metrics) == 2
    assert world.state(editor) == before
