"""The published forms, told apart by their keys and brought into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from easyedit_ice.data.form import Form, Raw, dig, same_names, single
from easyedit_ice.data.published import PUBLISHED
from easyedit_ice.data.published.ultraedit import ZSRE_ANS
from easyedit_ice.errors import DataError, did_you_mean


def recognise(raws: Sequence[Any], path: str) -> Form:
    """The form whose marks some record shows.

    Raises:
        DataError: no record shows any form's marks.
    """
    for form in FORMS.values():
        if any(map(form.shown_by, raws)):
            return form
    keys = next((sorted(raw) for raw in raws if isinstance(raw, Mapping)), [])
    marks = "; ".join(f"{form.name}: {', '.join(sorted(form.marks))}" for form in FORMS.values())
    raise DataError(f"no known form has the keys {keys}; expected those of one form: {marks}", path)


def form_named(name: str) -> Form:
    """The form of this name.

    Raises:
        DataError: there is none.
    """
    if name not in FORMS:
        hint = did_you_mean(name, FORMS)
        raise DataError(f"there is no form {name!r}; choose one of {', '.join(FORMS)}.{hint}")
    return FORMS[name]


def _knowedit_probes(raw: Raw) -> dict[str, Any]:
    return {"locality": raw.get("locality"), "portability": raw.get("portability")}


def _counterfact_probes(raw: Raw) -> dict[str, Any]:
    return {
        "locality": single("neighborhood", raw.get("locality_prompt"), raw.get("locality_ground_truth")),
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
        "locality": single("neighborhood", raw.get("loc"), raw.get("loc_ans")),
        "portability": _new_question(raw),
    }


def _new_question(raw: Raw) -> dict[str, Any]:
    """EasyEdit's first portability files add one question to each record of older benchmarks."""
    question, answer = (dig(raw, ("portability", key)) for key in ("New Question", "New Answer"))
    return single("one_hop", question, answer)


FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        *PUBLISHED,
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
            fields=same_names("subject", "prompt", "target_new", "ground_truth", "rephrase_prompt"),
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
        ZSRE_ANS,
        Form(
            name="wikibio",
            marks=frozenset({"text", "labels"}),
            fields={
                "subject": ("concept",),
                "prompt": ("text",),
                "target_new": ("labels",),
                **same_names("ground_truth", "rephrase_prompt"),
            },
            probes=_knowedit_probes,
        ),
        Form(
            name="knowedit",
            marks=frozenset({"prompt", "target_new"}),
            fields=same_names("subject", "prompt", "target_new", "ground_truth", "rephrase_prompt"),
            probes=_knowedit_probes,
        ),
    )
}
"""The forms by name, those with the more particular marks first."""
