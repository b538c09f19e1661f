"""Hyperparameters: one dataclass per algorithm, loaded and checked in one way.

A field's type comes from its annotation; its meaning and its bounds stand in its metadata, written with
:func:`setting`. The dataclasses are valid OmegaConf structured configs, so that the same classes serve as
schemas of Hydra.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Self

from easyedit_ice.errors import HyperParamsError, did_you_mean
from easyedit_ice.shown import html_table

AUTO = "auto"
"""Names the defaults, where a preset may be named."""
DTYPES = ("auto", "float32", "bfloat16", "float16")
_REPOSITORY_PRESETS = Path(__file__).resolve().parent.parent / "hparams"


def setting(
    default: Any,
    help: str,
    *,
    choices: tuple[Any, ...] | None = None,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
) -> Any:
    """A dataclass field with help text and bounds.

    Args:
        default: the value if none is given; lists are copied.
        help: what it does, with its unit.
        choices: the only values allowed.
        low: least value allowed.
        high: greatest value allowed.
        above: the value must be greater than this.
    """
    bounds = {"choices": choices, "low": low, "high": high, "above": above}
    metadata = {"help": help} | {name: bound for name, bound in bounds.items() if bound is not None}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def other_default(cls: type, name: str, default: Any) -> Any:
    """A setting of a parent class with another default, and the same help and bounds."""
    metadata = next(field.metadata for field in fields(cls) if field.name == name)
    return setting(default, **metadata)


@dataclass
class EditHyperParams:
    """Settings every algorithm has. The names are EasyEdit's where EasyEdit has them."""

    alg_name: str = setting("", "name of the algorithm in the table")
    model_name: str | None = setting(
        None, "folder, .gguf file, hub name, or a name `easyedit-ice models` lists; None where a model is passed"
    )
    device: int | str | None = setting(None, "'cpu', 'cuda:0', or a GPU's number; None takes the GPU if there is one")
    model_parallel: bool = setting(False, "spread the model over all GPUs (transformers' device_map='auto')")
    dtype: str = setting("auto", "type of the loaded weights; auto keeps the checkpoint's", choices=DTYPES)
    quantization_bit: int | None = setting(None, "load the model in 4 or 8 bits through bitsandbytes", choices=(4, 8))
    batch_size: int = setting(1, "facts that batch_edit solves together", low=1)
    max_length: int = setting(512, "longest evaluated prompt with target, in tokens", low=1)
    skip_unfit: bool = setting(
        False, "leave out facts that cannot be edited as they were given, with a warning, and edit the others"
    )
    chat: bool = setting(
        False,
        "put prompts into the user's turn of the model's chat template, and targets after the head of its own turn",
    )
    seed: int = setting(0, "seed of everything random in an edit", low=0)
    warn_drift: float | None = setting(
        0.05,
        "an edit is warned of that moves plain statements it is not about by more, in nats per token; None for none",
        above=0,
    )
    max_drift: float | None = setting(None, "an edit that moves them by more is refused; None for none", above=0)

    gentler: ClassVar[str] = "choose gentler settings"
    """What to do about an edit that moves too much besides its facts."""
    stronger: ClassVar[str] = "choose stronger settings"
    """What to do about facts that were not written."""
    wider: ClassVar[str] = "choose stronger settings"
    """What to do about facts that hold in few other wordings."""

    def __post_init__(self) -> None:
        self._refuse_other(self.alg_name)
        for field in fields(self):
            _check_bounds(field, getattr(self, field.name))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__repr__ = EditHyperParams.__repr__  # the decorator of a subclass would write another one, of all settings

    def __repr__(self) -> str:
        """The settings that are not the defaults."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.chosen().items())})"

    def _repr_html_(self) -> str:
        helps = {name: text for name, _, _, text in self.describe()}
        rows = [(name, value, helps[name]) for name, value in self.chosen().items()]
        return html_table(f"{type(self).__name__}: settings that are not the defaults", ("name", "value", "help"), rows)

    def chosen(self) -> dict[str, Any]:
        """The settings that are not the defaults, as plain values."""
        defaults = {name: default for name, _, default, _ in self.describe()}
        return {name: value for name, value in self.to_dict().items() if value != defaults[name]}

    @classmethod
    def algorithm(cls) -> str:
        """The algorithm this class is for, or an empty string."""
        return next(field.default for field in fields(cls) if field.name == "alg_name")

    @classmethod
    def from_hparams(cls, name_or_path: str | Path, **overrides: Any) -> Self:
        """Load from a YAML or JSON file, or from a preset such as ``"ICE-LoRA/gpt2-factworld"``.

        Args:
            name_or_path: a file, with or without ``.yaml``, or the name of a preset, with or without its
                algorithm's folder. A preset may be followed by the path of a folder, as EasyEdit's
                ``./hparams/ICE-LoRA/gpt2-xl``. ``"auto"`` names the defaults, which follow from what is measured on
                the model.
            **overrides: single settings that take precedence over the file's.

        Raises:
            HyperParamsError: there is no such file or preset, or its content does not fit.
        """
        if str(name_or_path) in (AUTO, f"{cls.algorithm()}/{AUTO}"):
            return cls.from_dict(overrides, source=AUTO)
        path = cls._find(str(name_or_path))
        try:
            text = path.read_text(encoding="utf-8")
            values = json.loads(text) if path.name.endswith(".json") else _load_yaml(text)
        except ValueError as error:
            raise HyperParamsError(f"{path} is not valid {path.name.rpartition('.')[2].upper()}: {error}") from error
        if not isinstance(values, Mapping):
            raise HyperParamsError(f"{path} holds {values!r}; it must map the names of settings to values")
        return cls.from_dict({**values, **overrides}, source=str(path))

    @classmethod
    def from_json(cls, path: str | Path) -> Self:
        """EasyEdit's second loader; the same as :meth:`from_hparams`."""
        return cls.from_hparams(path)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "hyperparameters") -> Self:
        """Build from a mapping; numbers may be strings, also in scientific notation.

        Raises:
            HyperParamsError: a setting is unknown, of the wrong type, or out of bounds.
        """
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        known = {field.name: field for field in fields(cls)}
        cls._refuse_other(values.get("alg_name", cls.algorithm()))
        for name in values:
            if name not in known:
                raise HyperParamsError(
                    f"{source}: {cls.__name__} has no setting {name!r}.{did_you_mean(str(name), known)} "
                    f"It has: {', '.join(known)}"
                )
        numbers = {
            name: value if "str" in _type_name(known[name]) else _plain_number(value) for name, value in values.items()
        }
        try:
            return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(cls), numbers))
        except OmegaConfBaseException as error:
            name = str(error.full_key or "").partition("[")[0]
            if name not in known:
                raise HyperParamsError(f"{source}: {error.msg}") from error
            raise HyperParamsError(
                f"{source}: {name} is {values[name]!r}; expected {_type_name(known[name])}: "
                f"{known[name].metadata['help']}"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain values."""
        return dataclasses.asdict(self)

    def replace(self, **changes: Any) -> Self:
        """A copy with some settings changed, checked like any other."""
        return type(self).from_dict({**self.to_dict(), **changes})

    @classmethod
    def describe(cls) -> list[tuple[str, str, Any, str]]:
        """Name, type, default and help text of every setting."""
        defaults = cls()
        return [(f.name, _type_name(f), getattr(defaults, f.name), f.metadata["help"]) for f in fields(cls)]

    @classmethod
    def presets(cls) -> list[str]:
        """Names that :meth:`from_hparams` knows for this algorithm."""
        return sorted(
            f"{cls.algorithm()}/{entry.name.removesuffix('.yaml')}"
            for root in preset_roots()
            if (folder := root / cls.algorithm()).is_dir()
            for entry in folder.iterdir()
            if entry.name.endswith(".yaml")
        )

    @classmethod
    def _refuse_other(cls, alg_name: str) -> None:
        if cls.algorithm() and alg_name != cls.algorithm():
            raise HyperParamsError(
                f"alg_name is {alg_name!r}, but {cls.__name__} is for {cls.algorithm()!r}; "
                "load the file with the class of its algorithm"
            )

    @classmethod
    def _find(cls, name: str) -> Any:
        stem = name.removesuffix(".yaml").removesuffix(".yml").removesuffix(".json")
        for path in (Path(name), Path(f"{name}.yaml"), Path(f"{name}.json")):
            if path.is_file():
                return path
        parts = stem.replace("\\", "/").rstrip("/").split("/")
        folder = parts[-2] if len(parts) > 1 else cls.algorithm()
        for root in preset_roots():
            preset = root / folder / f"{parts[-1]}.yaml"
            if preset.is_file():
                return preset
        raise HyperParamsError(
            f"there is no file and no preset {name!r}.{did_you_mean(f'{folder}/{parts[-1]}', cls.presets())} "
            f"Presets: {', '.join(cls.presets()) or 'none'}"
        )


def preset_roots() -> list[Any]:
    """Where presets lie: in the installed package, or beside it in a checkout."""
    try:
        return [resources.files("easyedit_ice.presets")]
    except ModuleNotFoundError:
        return [_REPOSITORY_PRESETS]


def _load_yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _type_name(field: dataclasses.Field) -> str:
    name = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
    return name


def _plain_number(value: Any) -> Any:
    """YAML reads ``1e-4`` as a string; make it the number it is meant to be."""
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number.is_integer() else number


def _check_bounds(field: dataclasses.Field, value: Any) -> None:
    bounds = field.metadata
    if value is None:
        return
    if "choices" in bounds and value not in bounds["choices"]:
        raise HyperParamsError(f"{field.name} is {value!r}; expected one of {', '.join(map(str, bounds['choices']))}")
    for bound, holds, words in (
        ("low", lambda limit: value >= limit, "at least"),
        ("high", lambda limit: value <= limit, "at most"),
        ("above", lambda limit: value > limit, "greater than"),
    ):
        if bound in bounds and not holds(bounds[bound]):
            raise HyperParamsError(
                f"{field.name} is {value!r}; expected {words} {bounds[bound]}: {field.metadata['help']}"
            )
