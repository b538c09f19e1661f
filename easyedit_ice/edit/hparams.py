"""Hyperparameters: one dataclass per algorithm, loaded and checked in one way.

A class of hyperparameters inherits from the :mod:`sections <easyedit_ice.edit.sections>` that mean something for its
algorithm, so that files stay flat. The dataclasses are valid OmegaConf structured configs, so that the same classes
serve as schemas of Hydra.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from typing_extensions import Self

from easyedit_ice.edit.registry import ALGORITHMS, Algorithm
from easyedit_ice.edit.sections import Section, other_default, setting, type_name
from easyedit_ice.edit.setting_values import check_bounds, refuse_odd
from easyedit_ice.errors import HyperParamsError, did_you_mean
from easyedit_ice.runtime.html import html_table
from easyedit_ice.runtime.untrusted import is_file, parsed_json, parsed_yaml, shown

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["AUTO", "DTYPES", "EditHyperParams", "Section", "other_default", "preset_roots", "setting"]

AUTO = "auto"
"""Names the defaults, where a preset may be named."""
DTYPES = ("auto", "float32", "bfloat16", "float16")
_REPOSITORY_PRESETS = Path(__file__).resolve().parents[2] / "hparams"


@dataclass
class EditHyperParams(Section):
    """Settings every algorithm has. The names are EasyEdit's where EasyEdit has them."""

    alg_name: str = setting("", "name of the algorithm in the table; filled in where it is left out")
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
    spec: ClassVar[Algorithm | None] = None
    """The algorithm that these are the settings of; it names itself here when it is made."""

    def __new__(cls, *_: Any, **settings: Any) -> Self:
        """Refuse settings that there are not, by name.

        Raises:
            HyperParamsError: a name is none of this class's settings.
        """
        cls._refuse_unknown(settings, "hyperparameters")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        self.alg_name = self.alg_name or self.algorithm()
        self._refuse_other(self.alg_name)
        for field in fields(self):
            check_bounds(field, getattr(self, field.name))
        for kind in reversed(type(self).__mro__):
            if "check" in vars(kind):
                vars(kind)["check"](self)

    @property
    def teaches_itself(self) -> bool:
        """Whether the edit rests on what the model says after a statement of the new fact."""
        return False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # The decorator of a subclass would write another one, of all settings.
        type.__setattr__(cls, "__repr__", EditHyperParams.__repr__)

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
        plain = self.to_dict().items()
        return {name: value for name, value in plain if name != "alg_name" and value != defaults[name]}

    @classmethod
    def algorithm(cls) -> str:
        """The algorithm this class is for, or an empty string."""
        declared = next(field.default for field in fields(cls) if field.name == "alg_name")
        return str(declared or (cls.spec.name if cls.spec else ""))

    @classmethod
    def says_nothing(cls, name: str, value: Any) -> bool:
        """Whether a setting of an earlier version, which this class no longer has, changes nothing at this value."""
        return False

    @classmethod
    def without_earlier(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Settings without those of earlier versions that change nothing."""
        names = {field.name for field in fields(cls)}
        return {
            name: value
            for name, value in values.items()
            if name in names or not cls.says_nothing(name, _plain_number(value))
        }

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
        cls.refuse_wrong(overrides, "settings given singly")
        if str(name_or_path) in (AUTO, f"{cls.algorithm()}/{AUTO}"):
            return cls.from_dict(overrides, source=AUTO)
        path = cls._find(str(name_or_path))
        try:
            text = path.read_text(encoding="utf-8")
            values = parsed_json(text) if path.name.endswith(".json") else parsed_yaml(text)
        except (OSError, ValueError) as error:
            raise HyperParamsError(f"{path} is not valid {path.name.rpartition('.')[2].upper()}: {error}") from error
        if not isinstance(values, Mapping):
            raise HyperParamsError(f"{path} holds {shown(values)}; it must map the names of settings to values")
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

        cls._refuse_other(values.get("alg_name") or cls.algorithm())
        with cls._explained(values, source):
            return cast("Self", OmegaConf.to_object(cls._typed(values, source)))

    @classmethod
    def refuse_wrong(cls, values: Mapping[str, Any], source: str) -> None:
        """Refuse settings that would not do whatever the others are, so that they are blamed where they were given.

        Args:
            values: some settings.
            source: where they were given, for the message.

        Raises:
            HyperParamsError: a setting is unknown, of the wrong type, or out of bounds.
        """
        by_name = {field.name: field for field in fields(cls)}
        with cls._explained(values, source):
            typed = cls._typed(values, source)
        for name in cls.without_earlier(values):
            try:
                check_bounds(by_name[name], typed[name])
            except HyperParamsError as error:
                raise HyperParamsError(f"{source}: {error}") from error

    @classmethod
    def _typed(cls, values: Mapping[str, Any], source: str) -> Any:
        """A configuration of OmegaConf's with these settings and the other defaults, all of their types."""
        from omegaconf import OmegaConf

        by_name = {field.name: field for field in fields(cls)}
        values = cls.without_earlier(values)
        cls._refuse_unknown(values, source)
        refuse_odd(values, source)
        numbers = {
            name: value if "str" in type_name(by_name[name]) else _plain_number(value) for name, value in values.items()
        }
        others = {name: value for name, value in numbers.items() if not _is_default(by_name[name], value)}
        return OmegaConf.merge(_schema(cast("type", cls)), others)

    @classmethod
    @contextmanager
    def _explained(cls, values: Mapping[str, Any], source: str) -> Iterator[None]:
        """Say of a value that OmegaConf refuses what was expected of it, and where it was given."""
        from omegaconf.errors import OmegaConfBaseException

        by_name = {field.name: field for field in fields(cls)}
        try:
            yield
        except (OverflowError, TypeError) as error:
            raise HyperParamsError(f"{source}: a setting is of a wrong type or size ({error})") from error
        except OmegaConfBaseException as error:
            name = str(error.full_key or "").partition("[")[0]
            if name not in by_name:
                raise HyperParamsError(f"{source}: {error.msg}") from error
            raise HyperParamsError(
                f"{source}: {name} is {shown(values[name])}; expected {type_name(by_name[name])}: "
                f"{by_name[name].metadata['help']}"
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
        return [(f.name, type_name(f), getattr(defaults, f.name), f.metadata["help"]) for f in fields(cls)]

    @classmethod
    def presets(cls) -> list[str]:
        """Names that :meth:`from_hparams` knows for this algorithm."""
        return sorted(
            f"{cls.algorithm()}/{entry.name.removesuffix('.yaml')}"
            for folder in cls._preset_folders(cls.algorithm())
            if folder.is_dir()
            for entry in folder.iterdir()
            if entry.name.endswith(".yaml")
        )

    @classmethod
    def _preset_folders(cls, algorithm: str) -> list[Traversable]:
        """Where an algorithm's presets lie: in a folder of its own, or with those of this package."""
        spec = cls.spec if cls.spec and cls.spec.name == algorithm else None
        if spec is None and algorithm in ALGORITHMS:
            spec = ALGORITHMS[algorithm]
        folders = [] if spec is None or spec.presets is None else [spec.presets]
        return [*folders, *(root / algorithm for root in preset_roots())]

    @classmethod
    def _refuse_unknown(cls, names: Iterable[str], source: str) -> None:
        choices = [field.name for field in fields(cls)]
        for name in names:
            if name not in choices:
                meant = did_you_mean(str(name), choices)
                listed = (
                    f"`easyedit-ice hparams {cls.algorithm()}` lists all" if meant else f"It has: {', '.join(choices)}"
                )
                raise HyperParamsError(
                    f"{source}: {cls.__name__} has no setting {name!r}.{meant} {_told_of_others(str(name))}{listed}"
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
            if is_file(path):
                return path
        parts = stem.replace("\\", "/").rstrip("/").split("/")
        folder = parts[-2] if len(parts) > 1 else cls.algorithm()
        for presets in cls._preset_folders(folder):
            preset = presets / f"{parts[-1]}.yaml"
            if is_file(preset):
                return preset
        raise HyperParamsError(
            f"there is no file and no preset {shown(name)}.{did_you_mean(f'{folder}/{parts[-1]}', cls.presets())} "
            f"Presets: {', '.join(cls.presets()) or 'none'}"
        )


def preset_roots() -> list[Traversable]:
    """Where the presets of this package lie: in the installed package, or beside it in a checkout."""
    try:
        return [resources.files("easyedit_ice.presets")]
    except ModuleNotFoundError:
        return [_REPOSITORY_PRESETS]


def _told_of_others(name: str) -> str:
    """Which algorithms have a setting of this name."""
    having = [algorithm for algorithm, spec in ALGORITHMS.items() if spec.has_setting(name)]
    return f"Algorithms that have it: {', '.join(having)}. " if having else ""


@cache
def _schema(cls: type) -> Any:
    """A class's defaults as a configuration of OmegaConf's, which takes longer to make than to copy."""
    from easyedit_ice.edit.schemas import schema

    return schema(cls)


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    """Whether a value is a setting's default, and so need not be put in its place; no list is."""
    return type(value) is type(field.default) and value == field.default


def _plain_number(value: Any) -> Any:
    """YAML reads ``1e-4`` as a string; make it the number it is meant to be."""
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number.is_integer() else number
