"""Settings of EasyEdit's own methods: from a preset, or made from a model's shape."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from easyedit_ice.easyedit.auto_settings.model_shape import ModelShape
from easyedit_ice.easyedit.auto_settings.published import Settings
from easyedit_ice.easyedit.loading.import_hook import import_easyeditor
from easyedit_ice.easyedit.locate import HOME, PACKAGE, host_info
from easyedit_ice.easyedit.methods.catalogue import HOST_METHODS
from easyedit_ice.edit.hparams import preset_roots
from easyedit_ice.errors import HostError, HyperParamsError, did_you_mean
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.runtime.captured_output import logged_prints
from easyedit_ice.runtime.untrusted import shown

AUTO = "auto"
"""Name of the settings that are made from a model's shape, in place of a preset's."""


def auto_settings(name: str, anatomy: ModelAnatomy) -> Settings:
    """The settings of a method of EasyEdit for a model, as :mod:`easyedit_ice.easyedit.auto_settings` makes them.

    Args:
        name: one of :data:`~easyedit_ice.easyedit.methods.catalogue.HOST_METHODS`.
        anatomy: of the model, which may be on torch's meta device.

    Raises:
        AnatomyError: the model lacks a part that the settings name.
    """
    shape = ModelShape(anatomy)
    common = {"alg_name": name, "model_name": shape.checkpoint, "device": "cpu", "model_parallel": False}
    return common | HOST_METHODS[name].auto(shape)


def host_settings(
    name: str, preset: str | Path, changes: Mapping[str, Any], anatomy: ModelAnatomy | None = None
) -> Any:
    """The settings of a method of EasyEdit, as its own class loads them.

    Args:
        name: of the method.
        preset: a file; the name of a preset of this package or of a checkout of EasyEdit, such as ``"gpt2-xl"``; or
            ``"auto"``, for settings made from the model's shape.
        changes: single settings that take precedence over the preset's.
        anatomy: of the model, which ``"auto"`` needs.

    Raises:
        HostError: the EasyEdit that is loaded has no such method.
        HyperParamsError: there is no such preset, a setting is unknown or one is missing.
        AnatomyError: ``"auto"``, and the model lacks a part that the settings name.
    """
    kind, spec = _settings_class(name), HOST_METHODS[name]
    values = _read(name, preset, anatomy)
    names = {field.name for field in fields(kind)} | set(spec.unlisted)
    if preset != AUTO:
        _refuse_unknown(name, values, names | set(spec.left_out), str(preset))
    _refuse_unknown(name, changes, names, str(host_info()))
    values = {**values, **changes}
    _refuse_no_booleans(name, values, kind)
    base = _read(values["base_method"], preset, anatomy) if "base_method" in values else None
    return _load(kind, values, base, names, str(preset))


def to_plain(hparams: Any) -> dict[str, Any]:
    """Settings of EasyEdit's class as plain values."""
    return {field.name: _plain(getattr(hparams, field.name)) for field in fields(hparams)}


def has_host_preset(name: str, preset: str) -> bool:
    """Whether there is a preset of this name for the method, of this package or of a checkout of EasyEdit."""
    return preset.lower() in {entry.stem.lower() for entry in _presets(name)}


def find_host_preset(name: str, preset: str | Path) -> Path:
    """The file of a preset.

    Raises:
        HyperParamsError: there is none.
    """
    for path in (Path(preset), Path(f"{preset}.yaml")):
        if path.is_file():
            return path
    stem = Path(preset).name.removesuffix(".yaml")
    presets_there = _presets(name)
    for entry in presets_there:
        if entry.stem.lower() == stem.lower():
            return entry
    presets = sorted({entry.stem for entry in presets_there})
    raise HyperParamsError(
        f"there is no file and no preset {name}/{stem}.{did_you_mean(stem, presets)} "
        f"Presets: {', '.join(presets) or 'none'}; give one of them, {AUTO!r} for settings made from the model's "
        "shape, or the path of a file"
    )


def _presets(name: str) -> list[Path]:
    """Files of presets, those of this package first."""
    folders = [Path(str(root)) / name for root in (*preset_roots(), host_info().path.parent / "hparams")]
    return [entry for folder in folders if folder.is_dir() for entry in folder.iterdir() if entry.suffix == ".yaml"]


def _read(name: str, preset: str | Path, anatomy: ModelAnatomy | None) -> Mapping[str, Any]:
    """The settings that a preset gives a method."""
    if preset == AUTO:
        if anatomy is None:
            raise HyperParamsError(f"{AUTO!r} makes settings from a model's shape; give its anatomy")
        return auto_settings(name, anatomy)
    path = find_host_preset(name, preset)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise HyperParamsError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, Mapping):
        raise HyperParamsError(f"{path} holds {values!r}; it must map the names of settings to values")
    return values


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return to_plain(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _settings_class(name: str) -> type:
    import_easyeditor()
    table = import_module(f"{PACKAGE}.util.alg_dict")
    if name not in table.ALG_DICT:
        raise HostError(
            f"{host_info()} has no {name}.{did_you_mean(name, table.ALG_DICT)} It is in EasyEdit's head: set {HOME} "
            "to a checkout of it"
        )
    kind: type = getattr(table, HOST_METHODS[name].hparams)
    return kind


def _refuse_no_booleans(name: str, settings: Mapping[str, Any], kind: type) -> None:
    for field in fields(kind):
        if field.type in (bool, "bool") and not isinstance(value := settings.get(field.name, False), bool):
            raise HyperParamsError(f"{name}: {field.name} is {shown(value)}; expected true or false")


def _refuse_unknown(name: str, settings: Mapping[str, Any], names: set[str], source: str) -> None:
    for setting in settings:
        if setting not in names:
            raise HyperParamsError(
                f"{source}: {name} has no setting {setting!r}.{did_you_mean(str(setting), names)} "
                f"It has: {', '.join(sorted(names))}"
            )


def _load(kind: Any, values: Mapping[str, Any], base: Mapping[str, Any] | None, names: set[str], source: str) -> Any:
    """Have EasyEdit's class read the settings it knows; it reads files only, and prints why it refuses one.

    SimIE reads those of the method that it wraps from the file of the same name in that method's folder.
    """
    usable = {name: value for name, value in values.items() if name in names}
    with tempfile.TemporaryDirectory() as root, logged_prints():
        try:
            file = _written(root, usable)
            if base is not None:
                _written(root, base)
            return kind.from_hparams(str(file))
        except (TypeError, KeyError, AssertionError) as error:
            raise HyperParamsError(f"{source} does not make {kind.__name__} of {host_info()}: {error}") from error


def _written(root: str, settings: Mapping[str, Any]) -> Path:
    file = Path(root) / str(settings["alg_name"]) / "settings.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(dict(settings)), encoding="utf-8")
    return file
