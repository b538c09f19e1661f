"""One raw record, of any form, into the normal form, with each flaw reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from easyedit_ice.data.form import Form
from easyedit_ice.data.records import Record, Severity
from easyedit_ice.runtime.untrusted import is_unicode

Report = Callable[[Severity, str], None]


def normalise(raw: Any, index: int, form: Form, report: Report) -> Record | None:
    """Read one raw record; ``None``, with a report, if it holds no fact to edit."""
    if not isinstance(raw, Mapping):
        report(Severity.RECORD, f"the record is {_show(raw)}; expected an object with keys")
        return None
    draft = form.draft(raw)
    unusable = [name for name in ("prompt", "target_new") if not _is_text(draft[name])]
    if unusable:
        flaws = [f"{form.describe(name)} is {_show(draft[name])}" for name in unusable]
        report(Severity.RECORD, f"{' and '.join(flaws)}; expected text")
        return None
    record = draft | {"index": index}
    _check_subject(record, form, report)
    _check_ground_truth(record, form, report)
    if record["rephrase_prompt"] is None:
        del record["rephrase_prompt"]
    elif not _is_text(record["rephrase_prompt"]):
        shown = _show(record.pop("rephrase_prompt"))
        report(Severity.PROBE, f"{form.describe('rephrase_prompt')} is {shown}; expected text")
    for section in ("locality", "portability"):
        record[section] = _section(record[section], section, record["target_new"], report)
    return record


def _check_subject(record: Record, form: Form, report: Report) -> None:
    subject = record["subject"]
    if not _is_text(subject):
        del record["subject"]
        if subject is not None:
            report(Severity.NOTE, f"{form.describe('subject')} is {_show(subject)}; read as having none")
        return
    record["prompt"] = record["prompt"].replace("{}", subject)
    if subject not in record["prompt"]:
        shown = _show(record["prompt"])
        report(Severity.NOTE, f"the subject {subject!r} does not occur in the prompt {shown}")


def _check_ground_truth(record: Record, form: Form, report: Report) -> None:
    truth = record["ground_truth"]
    answers = None if truth is None else _answers(truth)
    if answers is None or not any(answers):
        del record["ground_truth"]
        if truth is not None:
            report(Severity.NOTE, f"{form.describe('ground_truth')} is {_show(truth)}; read as unknown")
        return
    record["ground_truth"] = [alias for aliases in answers for alias in aliases]


def _section(kinds: Any, section: str, target: str, report: Report) -> dict[str, list[Record]]:
    if kinds is None:
        return {}
    if not isinstance(kinds, Mapping):
        report(Severity.PROBE, f"{section} is {_show(kinds)}; expected an object of kinds")
        return {}
    read = {kind: _kind(probes, f"{section}.{kind}", kind, target, report) for kind, probes in kinds.items()}
    return {kind: probes for kind, probes in read.items() if probes}


def _kind(probes: Any, where: str, kind: str, target: str, report: Report) -> list[Record]:
    if probes is None:
        return []
    if not isinstance(probes, list):
        report(Severity.PROBE, f"{where} is {_show(probes)}; expected a list of probes")
        return []
    usable = []
    for number, raw in enumerate(probes):
        probe = _probe(raw, f"{where}[{number}]", report)
        if probe is None:
            continue
        if kind == "Forgetfulness" and probe["ground_truth"][0][0].strip() == target.strip():
            report(Severity.NOTE, f"{where}[{number}] expects the new target {target!r} as the old answer")
        usable.append(probe)
    return usable


def _probe(probe: Any, where: str, report: Report) -> Record | None:
    if not isinstance(probe, Mapping):
        report(Severity.PROBE, f"{where} is {_show(probe)}; expected an object with prompt and ground_truth")
        return None
    prompt, truth = probe.get("prompt"), probe.get("ground_truth")
    if not _is_text(prompt):
        report(Severity.PROBE, f"{where} has the prompt {_show(prompt)}; expected text")
        return None
    answers = _answers(truth)
    if answers is None:
        expected = "expected text, a list of texts, or a list of lists of texts"
        report(Severity.PROBE, f"{where} has the ground_truth {_show(truth)}; {expected}")
        return None
    usable = [aliases for aliases in answers if aliases]
    if not usable:
        report(Severity.PROBE, f"{where} has no answer to score: its ground_truth is {_show(truth)}")
        return None
    if not answers[0]:
        report(Severity.NOTE, f"{where} has no alias for its first answer; the next one is scored")
    elif len(usable) < len(answers):
        report(Severity.NOTE, f"{where} has answers without an alias, which are left out")
    return {"prompt": prompt, "ground_truth": usable}


def _answers(truth: Any) -> list[list[str]] | None:
    """Each answer's aliases that are not blank; ``None`` if ``truth`` is not of a form in use."""
    answers = [truth] if isinstance(truth, str) else truth
    if not isinstance(answers, list):
        return None
    read = [[answer] if isinstance(answer, str) else answer for answer in answers]
    if not all(isinstance(aliases, list) for aliases in read):
        return None
    if not all(isinstance(alias, str) and is_unicode(alias) for aliases in read for alias in aliases):
        return None
    return [[alias for alias in aliases if alias.strip()] for aliases in read]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and is_unicode(value)


def _show(value: Any, limit: int = 120) -> str:
    if value is None:
        return "missing"
    shown = repr(value)
    return shown if len(shown) <= limit else shown[:limit] + "…"
