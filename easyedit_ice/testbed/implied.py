"""Facts that a record's probes imply of other entities, where the wording allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from easyedit_ice.data.records import ProbeRecord, Record
from easyedit_ice.testbed.testbed_facts import Fact, single
from easyedit_ice.testbed.testbed_wordings import SLOT, fill, noun_of, slot_of, template_of


def implied_facts(records: Iterable[Record]) -> Iterator[Fact]:
    """What ``Reasoning`` probes tell of the new answer, and of whom the subject is something.

    If ``"The name of the country of citizenship of X is"`` becomes Syria, then the probe
    ``"The name of the currency in the country of citizenship of X is"`` with the answer Syrian pound tells that of
    Syria: a *target* fact. ``"The gender of the father of Y is"`` among the probes of ``"The gender of X is"`` tells
    that Y's father is X: a *bridge* fact. Answers that name the subject are consequences of the edit, and left out.
    """
    for record in records:
        for probe in record["portability"].get("Reasoning", ()):
            yield from implied_by(record, probe)


def implied_by(record: Record, probe: ProbeRecord) -> Iterator[Fact]:
    """What one ``Reasoning`` probe of the record implies: at most one fact of each kind."""
    subject = record.get("subject")
    if subject is not None:
        template = template_of(record["prompt"].strip(), subject)
        yield from _target_fact(record, template, probe)
        yield from _bridge_fact(record, template, probe)


def inverse_of(record: Record, names: Iterable[str]) -> set[str]:
    """Templates in which the record's probes ask its new answer for its subject."""
    target, called, templates = record["target_new"].strip(), set(names), set()
    for probe in record["portability"].get("Logical_Generalization", ()):
        template = template_of(probe["prompt"].strip(), target)
        if template.count(SLOT) == 1 and single(probe["ground_truth"])[1] & called:
            templates.add(template)
    return templates


def _target_fact(record: Record, template: str, probe: ProbeRecord) -> Iterator[Fact]:
    noun, prompt = noun_of(template), probe["prompt"].strip()
    phrase = fill(noun, record["subject"]) if noun else None
    if phrase is None or prompt.count(phrase) != 1:
        return
    asked = prompt.replace(phrase, SLOT)
    others = [aliases for aliases in probe["ground_truth"] if record["subject"] not in aliases]
    if others:
        answer, accepted = single(others)
        target = record["target_new"].strip()
        yield Fact(target, target, (asked,), answer, "target", accepted)


def _bridge_fact(record: Record, template: str, probe: ProbeRecord) -> Iterator[Fact]:
    phrase = slot_of(template, probe["prompt"].strip())
    if phrase is None or not phrase.startswith("the ") or " of " not in phrase:
        return
    if record["target_new"].strip() in single(probe["ground_truth"])[1]:
        # The noun of the relation holds no name, so that "the head of state of Fiji" is cut before the last "of".
        head, name = _cut(phrase)
        if name:
            template = f"The name of {head} of {SLOT} is"
            yield Fact(name, name, (template,), record["subject"], "bridge", frozenset({record["subject"]}))


def _cut(phrase: str) -> tuple[str, str]:
    """``"the head of state of Fiji"`` as ``("the head of state", "Fiji")``: names begin with a capital or a digit."""
    words = phrase.split(" ")
    for place in range(1, len(words) - 1):
        if words[place] == "of" and not words[place + 1][:1].islower():
            return " ".join(words[:place]), " ".join(words[place + 1 :])
    return "", ""
