"""One raw record, of any form, into the normal form, with each flaw reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from easyedit_ice.data.form import Form
from easyedit_ice.data.records import ProbeRecord, ProbeRecords, Record, Severity
from easyedit_ice.runtime.untrusted import is_unicode

READ = ("index", "prompt", "target_new", "subject", "rephrase_prompt", "ground_truth", "locality", "portability")
"""Of a record; what else its file has is passed on as it is."""
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
    subject = _subject(draft["subject"], form, report)
    prompt: str = draft["prompt"] if subject is None else draft["prompt"].replace("{}", subject)
    if subject is not None and subject not in prompt:
        report(Severity.NOTE, f"the subject {subject!r} does not occur in the prompt {_show(prompt)}")
    truth = _ground_truth(draft["ground_truth"], form, report)
    rephrase = _rephrase(draft["rephrase_prompt"], form, report)
    target = draft["target_new"]
    record: Record = {
        "index": index,
        "prompt": prompt,
        "target_new": target,
        "locality": _section(draft["locality"], "locality", target, report),
        "portability": _section(draft["portability"], "portability", target, report),
    }
    if subject is not None:
        record["subject"] = subject
    if truth is not None:
        record["ground_truth"] = truth
    if rephrase is not None:
        record["rephrase_prompt"] = rephrase
    further = {name: value for name, value in draft.items() if name not in READ}
    return cast(Record, further | record)


def _subject(subject: Any, form: Form, report: Report) -> str | None:
    if _is_text(subject):
        return str(subject)
    if subject is not None:
        report(Severity.NOTE, f"{form.describe('subject')} is {_show(subject)}; read as having none")
    return None


def _ground_truth(truth: Any, form: Form, report: Report) -> list[str] | None:
    if truth is None:
        return None
    answers = _answers(truth)
    if answers is None or not any(answers):
        report(Severity.NOTE, f"{form.describe('ground_truth')} is {_show(truth)}; read as unknown")
        return None
    return [alias for aliases in answers for alias in aliases]


def _rephrase(rephrase: Any, form: Form, report: Report) -> str | None:
    if _is_text(rephrase):
        return str(rephrase)
    if rephrase is not None:
        report(Severity.PROBE, f"{form.describe('rephrase_prompt')} is {_show(rephrase)}; expected text")
    return None


def _section(kinds: Any, section: str, target: str, report: Report) -> ProbeRecords:
    if kinds is None:
        return {}
    if not isinstance(kinds, Mapping):
        report(Severity.PROBE, f"{section} is {_show(kinds)}; expected an object of kinds")
        return {}
    read = {kind: _kind(probes, f"{section}.{kind}", kind, target, report) for kind, probes in kinds.items()}
    return {kind: probes for kind, probes in read.items() if probes}


def _kind(probes: Any, where: str, kind: str, target: str, report: Report) -> list[ProbeRecord]:
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


def _probe(probe: Any, where: str, report: Report) -> ProbeRecord | None:
    if not isinstance(probe, Mapping):
        report(Severity.PROBE, f"{where} is {_show(probe)}; expected an object with prompt and ground_truth")
        return None
    prompt, truth = probe.get("prompt"), probe.get("ground_truth")
    if not isinstance(prompt, str) or not _is_text(prompt):
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
