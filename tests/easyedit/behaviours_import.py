"""Importing EasyEdit, registering with it, and what is left behind."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from stage import EASYEDIT_FIRST, PLUGIN_FIRST, Skipped, World, behaviour, raises


@behaviour()
def importing_easyedit_leaves_logging_alone(world: World) -> None:
    assert world.after.logging == world.before.logging


@behaviour()
def importing_easyedit_leaves_random_state_alone(world: World) -> None:
    assert world.after.random == world.before.random


@behaviour()
def importing_easyedit_writes_no_files(world: World) -> None:
    assert world.after.files == world.before.files == []


@behaviour()
def stand_ins_are_not_in_sys_modules(world: World) -> None:
    from easyedit_ice.easyedit.loading.placeholders import OPTIONAL, stood_in

    absent = [name for name in stood_in if name in OPTIONAL]
    if not absent:
        raise Skipped("all packages of EasyEdit are installed")
    assert not [name for name in sys.modules if name.partition(".")[0] in absent]


@behaviour()
def transformers_sees_no_stand_ins(world: World) -> None:
    from transformers import AutoProcessor
    from transformers.utils import is_torchvision_available

    from easyedit_ice.easyedit.loading.placeholders import stood_in

    assert AutoProcessor is not None
    assert is_torchvision_available() == ("torchvision" not in stood_in)


@behaviour()
def a_stand_in_names_the_package_to_install_when_used(world: World) -> None:
    from easyeditor.dataset.processor import blip_processors

    from easyedit_ice.easyedit.loading.placeholders import stood_in
    from easyedit_ice.errors import MissingPackageError

    if "torchvision" not in stood_in:
        raise Skipped("torchvision is installed")
    with raises(MissingPackageError, "torchvision.transforms.Compose", "pip install torchvision"):
        blip_processors.transforms.Compose([])


@behaviour(PLUGIN_FIRST, EASYEDIT_FIRST)
def our_base_editor_is_easyedits_own(world: World) -> None:
    import easyeditor

    import easyedit_ice

    assert easyedit_ice.BaseEditor is easyeditor.BaseEditor is easyeditor.editors.editor.BaseEditor


@behaviour()
def host_info_names_kind_and_version(world: World) -> None:
    from easyedit_ice.easyedit import host_info

    info = host_info()
    assert info.kind == world.kind
    assert info.path.name == "easyeditor"
    if info.kind == "release":
        assert info.version == "0.0.1.dev0"
    else:
        assert info.version == "unknown" or len(info.version) == 12


@behaviour(PLUGIN_FIRST, EASYEDIT_FIRST)
def every_algorithm_of_the_table_is_registered(world: World) -> None:
    from easyeditor.util.alg_dict import ALG_DICT

    from easyedit_ice import ALGORITHMS, register

    register()
    assert set(ALGORITHMS) <= set(ALG_DICT)
    assert {"ROME", "MEMIT", "FT", "LoRA", "IKE"} <= set(ALG_DICT)


@behaviour(PLUGIN_FIRST, EASYEDIT_FIRST)
def registering_again_changes_nothing(world: World) -> None:
    from easyeditor.editors.batch_editor import BatchEditor
    from easyeditor.models.lora import lora_main
    from easyeditor.util.alg_dict import ALG_DICT

    from easyedit_ice import BaseEditor, register

    def state() -> list[Any]:
        return [
            BaseEditor.__init__,
            BatchEditor.is_batchable_method,
            lora_main.AdaLoraConfig,
            sorted(ALG_DICT.items(), key=lambda entry: entry[0]),
            [type(finder).__name__ for finder in sys.meta_path],
        ]

    register()
    before = state()
    register()
    assert state() == before


@behaviour()
def an_easyedit_that_lacks_something_is_refused_by_name(world: World) -> None:
    from easyeditor.editors import editor

    from easyedit_ice import register
    from easyedit_ice.easyedit import host_info
    from easyedit_ice.errors import HostIncompatibleError

    method = editor.BaseEditor.batch_edit
    del editor.BaseEditor.batch_edit
    try:
        with raises(HostIncompatibleError, "BaseEditor.batch_edit", host_info().version, "tested with"):
            register()
    finally:
        editor.BaseEditor.batch_edit = method
    register()


@behaviour()
def an_easyedit_with_another_signature_is_refused_by_name(world: World) -> None:
    from easyeditor.editors import editor

    from easyedit_ice import register
    from easyedit_ice.errors import HostIncompatibleError

    method = editor.BaseEditor.edit
    editor.BaseEditor.edit = lambda self, facts: None
    try:
        with raises(HostIncompatibleError, "BaseEditor.edit(prompts, target_new)"):
            register()
    finally:
        editor.BaseEditor.edit = method


@behaviour()
def an_algorithm_named_like_one_of_easyedits_is_refused(world: World) -> None:
    from easyeditor.util.alg_dict import ALG_DICT

    from easyedit_ice import ALGORITHMS, register
    from easyedit_ice.errors import DuplicateAlgorithmError

    own = ALG_DICT["ROME"]
    ALGORITHMS.add(replace(world.toys.TOY, name="ROME"))
    try:
        with raises(DuplicateAlgorithmError, "ROME"):
            register()
    finally:
        ALGORITHMS.remove("ROME")
    assert ALG_DICT["ROME"] is own


@behaviour()
def batchable_is_what_the_algorithm_says(world: World) -> None:
    from easyeditor.editors.batch_editor import BatchEditor

    from easyedit_ice import ALGORITHMS

    ALGORITHMS.add(replace(world.toys.TOY, name="Toy-single", batchable=False))
    try:
        assert BatchEditor.is_batchable_method("Toy")
        assert not BatchEditor.is_batchable_method("Toy-single")
        assert BatchEditor.is_batchable_method("MEMIT")
        assert not BatchEditor.is_batchable_method("ROME")
    finally:
        ALGORITHMS.remove("Toy-single")


@behaviour()
def no_files_and_no_handlers_are_left_by_editors_and_edits(world: World) -> None:
    logger = logging.getLogger("easyeditor.editors.editor")
    assert logger.handlers == []
    assert logging.root.handlers == world.before.logging[0]
    assert not os.path.exists("logs")


@behaviour()
def easyedits_files_on_disk_are_not_touched(world: World) -> None:
    """A later import without this package must not get our code from ``__pycache__``."""
    import easyeditor.editors.editor as module

    cached = Path(module.__spec__.cached)
    if cached.exists():
        assert b"easyedit_ice" not in cached.read_bytes()


@behaviour()
def doctor_reports_host_devices_and_stand_ins(world: World) -> None:
    from easyedit_ice.easyedit import doctor, host_info

    checks = {check.name: check for check in doctor()}
    assert host_info().version in checks["EasyEdit"].value
    assert checks["EasyEdit loads"].status == "ok"
    assert checks["device cpu"].status == "ok"
    if checks["timm"].status != "ok":
        assert checks["timm"].value == "not installed; stood in for"
        assert "pip install timm" in checks["timm"].remedy
