"""What a published form is: where in a raw record each field stands, and how its probes are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Raw = Mapping[str, Any]
Path = tuple[str | int, ...]


def as_it_is(raw: Raw) -> Sequence[Raw]:
    """A record that holds one fact."""
    return (raw,)


@dataclass(frozen=True)
class Form:
    """One way in which facts are published.

    It judges nothing: a missing field is ``None`` here, and a problem in :mod:`easyedit_ice.data.cleaning`.

    Attributes:
        name: how the form is called.
        marks: keys by which a record shows it.
        fields: the record's own fields, by the normal name, as paths in the raw record.
        probes: the probes of a raw record: ``{"locality": {kind: [probe, ...]}, "portability": {...}}``.
        inner: paths that must lead somewhere besides the marks.
        facts: of a raw record the facts that it holds, each as a raw record of its own.
    """

    name: str
    marks: frozenset[str]
    fields: Mapping[str, Path]
    probes: Callable[[Raw], dict[str, Any]]
    inner: tuple[Path, ...] = ()
    facts: Callable[[Raw], Sequence[Raw]] = as_it_is

    def shown_by(self, raw: Any) -> bool:
        """Whether a raw record has all that it tells the form by."""
        return (
            isinstance(raw, Mapping)
            and self.marks <= raw.keys()
            and all(dig(raw, path) is not None for path in self.inner)
        )

    def draft(self, raw: Raw) -> dict[str, Any]:
        """The record under the normal names, unchecked; keys the form does not read are passed on."""
        read = {path[0] for path in self.fields.values() if len(path) == 1} | self.marks
        further = {key: value for key, value in raw.items() if key not in read and value is not None}
        fields = {name: dig(raw, path) for name, path in self.fields.items()}
        return further | fields | self.probes(raw)

    def describe(self, field: str) -> str:
        """A field's normal name, with the name it has in the file where that is another one."""
        there = ".".join(map(str, self.fields[field]))
        return field if there == field else f"{field} (the file's {there!r})"


def dig(raw: Any, path: Path) -> Any:
    """Follow a path of keys and positions; ``None`` where it ends early."""
    for step in path:
        kind: type[Any] = list if isinstance(step, int) else Mapping
        if not isinstance(raw, kind):
            return None
        try:
            raw = raw[step]
        except (KeyError, IndexError):
            return None
    return raw


def same_names(*names: str) -> dict[str, Path]:
    """Fields that have their normal names in the file."""
    return {name: (name,) for name in names}


def single(kind: str, prompt: Any, truth: Any) -> dict[str, Any]:
    """A kind with one probe; nothing where the record has none."""
    return {} if prompt is None and truth is None else {kind: [{"prompt": prompt, "ground_truth": truth}]}


def paired(kind: str, prompts: Any, truths: Any) -> dict[str, Any]:
    """A kind with a probe for each of two parallel lists; what is no list is left for the checks."""
    if not isinstance(prompts, list) or not isinstance(truths, list):
        return single(kind, prompts, truths)
    longest = max(len(prompts), len(truths))
    pairs = zip(_filled(prompts, longest), _filled(truths, longest), strict=True)
    return {kind: [{"prompt": prompt, "ground_truth": truth} for prompt, truth in pairs]} if longest else {}


def text_or_none(value: Any) -> str | None:
    """A text that is not blank; files write a probe that is not there as null, as no number, or as nothing."""
    return value if isinstance(value, str) and value.strip() else None


def joined(kinds: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Several kinds as one section."""
    return {name: probes for kind in kinds for name, probes in kind.items()}


def _filled(values: list[Any], length: int) -> list[Any]:
    return [*values, *[None] * (length - len(values))]
