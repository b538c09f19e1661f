"""The published forms, told apart by their keys and brought into one.

A form says where in a raw record each field stands, as a path of keys, and how its probes are found. It
judges nothing: a missing field is ``None`` here, and a problem in :mod:`easyedit_ice.data.normalise`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from easyedit_ice.errors import DataError, did_you_mean

Raw = Mapping[str, Any]
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Form:
    """One way in which facts are published.

    Attributes:
        name: how the form is called.
        marks: keys by which a record shows it.
        fields: the record's own fields, by the normal name, as paths in the raw record.
        probes: the probes of a raw record: ``{"locality": {kind: [probe, ...]}, "portability": {...}}``.
    """

    name: str
    marks: frozenset[str]
    fields: Mapping[str, Path]
    probes: Callable[[Raw], dict[str, Any]]

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
        if not isinstance(raw, list if isinstance(step, int) else Mapping):
            return None
        try:
            raw = raw[step]
        except (KeyError, IndexError):
            return None
    return raw


def recognise(raws: Sequence[Any], path: str) -> Form:
    """The form whose marks some record shows.

    Raises:
        DataError: no record shows any form's marks.
    """
    for form in FORMS.values():
        if any(isinstance(raw, Mapping) and form.marks <= raw.keys() for raw in raws):
            return form
    keys = next((sorted(raw) for raw in raws if isinstance(raw, Mapping)), [])
    known = "; ".join(f"{form.name}: {', '.join(sorted(form.marks))}" for form in FORMS.values())
    raise DataError(f"no known form has the keys {keys}; expected those of one form: {known}", path)


def form_named(name: str) -> Form:
    """The form of this name.

    Raises:
        DataError: there is none.
    """
    if name not in FORMS:
        hint = did_you_mean(name, FORMS)
        raise DataError(f"there is no form {name!r}; choose one of {', '.join(FORMS)}.{hint}")
    return FORMS[name]


def _own(*names: str) -> dict[str, Path]:
    return {name: (name,) for name in names}


def _knowedit_probes(raw: Raw) -> dict[str, Any]:
    return {"locality": raw.get("locality"), "portability": raw.get("portability")}


def _counterfact_probes(raw: Raw) -> dict[str, Any]:
    return {
        "locality": _single("neighborhood", raw.get("locality_prompt"), raw.get("locality_ground_truth")),
        "portability": _new_question(raw),
    }


def _rome_probes(raw: Raw) -> dict[str, Any]:
    truth = dig(raw, ("requested_rewrite", "target_true", "str"))
    neighbours = raw.get("neighborhood_prompts")
    if isinstance(neighbours, list):
        neighbours = [{"prompt": prompt, "ground_truth": truth} for prompt in neighbours]
    return {
        "locality": {"neighborhood": neighbours},
        "portability": _new_question(raw),
    }


def _zsre_probes(raw: Raw) -> dict[str, Any]:
    return {
        "locality": _single("neighborhood", raw.get("loc"), raw.get("loc_ans")),
        "portability": _new_question(raw),
    }


def _new_question(raw: Raw) -> dict[str, Any]:
    """EasyEdit's first portability files add one question to each record of older benchmarks."""
    question, answer = (dig(raw, ("portability", key)) for key in ("New Question", "New Answer"))
    return _single("one_hop", question, answer)


def _single(kind: str, prompt: Any, truth: Any) -> dict[str, Any]:
    return {} if prompt is None and truth is None else {kind: [{"prompt": prompt, "ground_truth": truth}]}


FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        Form(
            name="counterfact-rome",
            marks=frozenset({"requested_rewrite", "neighborhood_prompts"}),
            fields={
                "subject": ("requested_rewrite", "subject"),
                "prompt": ("requested_rewrite", "prompt"),
                "target_new": ("requested_rewrite", "target_new", "str"),
                "ground_truth": ("requested_rewrite", "target_true", "str"),
                "rephrase_prompt": ("paraphrase_prompts", 0),
            },
            probes=_rome_probes,
        ),
        Form(
            name="counterfact",
            marks=frozenset({"locality_prompt", "locality_ground_truth"}),
            fields=_own("subject", "prompt", "target_new", "ground_truth", "rephrase_prompt"),
            probes=_counterfact_probes,
        ),
        Form(
            name="zsre",
            marks=frozenset({"src", "alt", "loc", "loc_ans"}),
            fields={
                "subject": ("subject",),
                "prompt": ("src",),
                "target_new": ("alt",),
                "ground_truth": ("answers",),
                "rephrase_prompt": ("rephrase",),
            },
            probes=_zsre_probes,
        ),
        Form(
            name="wikibio",
            marks=frozenset({"text", "labels"}),
            fields={
                "subject": ("concept",),
                "prompt": ("text",),
                "target_new": ("labels",),
                **_own("ground_truth", "rephrase_prompt"),
            },
            probes=_knowedit_probes,
        ),
        Form(
            name="knowedit",
            marks=frozenset({"prompt", "target_new"}),
            fields=_own("subject", "prompt", "target_new", "ground_truth", "rephrase_prompt"),
            probes=_knowedit_probes,
        ),
    )
}
"""The forms by name, those with the more particular marks first."""
