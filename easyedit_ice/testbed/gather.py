"""From records to the original facts they hold: their own, those of their probes, and those that their probes imply."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from easyedit_ice.data.records import Record, Records
from easyedit_ice.errors import DataError
from easyedit_ice.testbed.implied import implied_facts, inverse_of
from easyedit_ice.testbed.testbed_facts import Fact, Knowledge, Ledger, single
from easyedit_ice.testbed.testbed_wordings import fill, matching, slot_of, template_of

_ALIASING = "Subject_Aliasing"
_LONGEST = 400  # characters of prompt and answer; longer ones do not fit into a row of training
_LEAST_SHOWN = 3  # records that must show an inverse


def gather(records: Records) -> Knowledge:
    """Every original fact that the records tell.

    Prompts come with the record's ``ground_truth``, and so do its rephrase and its ``Subject_Aliasing`` probes, whose
    own answers are those after the edit; locality probes with their own. ``Reasoning`` probes imply facts of the new
    answer, and facts that lead to the subject (see :mod:`easyedit_ice.testbed.implied`). Where a prompt has
    several answers, the first one in this order stays.

    Raises:
        DataError: no record has a ``ground_truth``.
    """
    if not any("ground_truth" in record for record in records):
        raise DataError(
            "no record has a ground_truth, the answer before the edit, so there is nothing a testbed could know; "
            "use a file that has them",
            records.path,
        )
    barred = _barred(records)
    ledger = Ledger(barred)
    for source in (_of_prompts, _aliased, _unaffected, implied_facts):
        for fact in source(records):
            if len(fact.prompts[0]) + len(fact.answer) > _LONGEST:
                ledger.notes.append(f"{fact.prompts[0][:60]!r}...: longer than {_LONGEST} characters; left out")
            else:
                ledger.add(fact)
    return Knowledge(
        facts=ledger.facts(),
        aliases=_aliases(records),
        barred=barred,
        new_answers=_new_answers(records),
        inverses=_inverses(records),
        notes=(*_without_answer(records), *_same_answer(records, barred), *ledger.notes),
    )


def names_of(record: Record) -> tuple[str, ...]:
    """What the record calls its subject: its first name, then those its aliasing probes use."""
    subject = record.get("subject", "")
    template = _templates(record)[0]
    probes = record["portability"].get(_ALIASING, ())
    names = [slot_of(template, probe["prompt"].strip()) for probe in probes]
    return tuple(dict.fromkeys([subject, *(name for name in names if name is not None)]))


def _templates(record: Record) -> tuple[str, ...]:
    subject, prompts = record.get("subject"), [record["prompt"]]
    prompts += [record["rephrase_prompt"]] if "rephrase_prompt" in record else []
    return tuple(dict.fromkeys(template_of(text.strip(), subject) if subject else text.strip() for text in prompts))


def _of_prompts(records: Records) -> Iterator[Fact]:
    for record in records:
        if "ground_truth" in record:
            subject = record.get("subject", "")
            yield Fact(subject, subject, _templates(record), *_original(record, "prompt"))


def _aliased(records: Records) -> Iterator[Fact]:
    for record in records:
        template, probes = _templates(record)[0], record["portability"].get(_ALIASING, ())
        for probe in probes if "ground_truth" in record else ():
            prompt = probe["prompt"].strip()
            name = slot_of(template, prompt)
            if name is None:
                yield Fact("", "", (prompt,), *_original(record, "alias"))
            else:
                yield Fact(record["subject"], name, (template,), *_original(record, "alias"))


def _original(record: Record, source: str) -> tuple[str, str, frozenset[str]]:
    truth = [alias.strip() for alias in record["ground_truth"]]
    return truth[0], source, frozenset(truth)


def _unaffected(records: Records) -> Iterator[Fact]:
    templates = {_templates(record)[0] for record in records}
    for record in records:
        subject = record.get("subject", "")
        for probes in record["locality"].values():
            for probe in probes:
                prompt = probe["prompt"].strip()
                answer, accepted = single(probe["ground_truth"])
                template = template_of(prompt, subject) if subject else prompt
                name = subject
                if template == prompt:
                    template, name = matching(prompt, templates) or (prompt, "")
                yield Fact(name, name, (template,), answer, "locality", accepted)


def _barred(records: Records) -> frozenset[tuple[str, str]]:
    pairs = set()
    for record in records:
        target, names = record["target_new"].strip(), names_of(record)
        prompts = {fill(template, name) for template in _templates(record) for name in names}
        prompts |= {probe["prompt"].strip() for probe in record["portability"].get(_ALIASING, ())}
        pairs |= {(prompt, target) for prompt in prompts}
    return frozenset(pairs)


def _aliases(records: Records) -> dict[str, tuple[str, ...]]:
    """Second names by subject, without those that could mean another subject."""
    named: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        if "subject" in record:
            subject, *others = names_of(record)
            named[subject] |= dict.fromkeys(others)
    bearers = Counter(name for subject, others in named.items() for name in {subject, *others})
    unique = {subject: tuple(name for name in others if bearers[name] == 1) for subject, others in named.items()}
    return {subject: others for subject, others in unique.items() if others}


def _new_answers(records: Records) -> dict[str, tuple[str, ...]]:
    by_template: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        by_template[_templates(record)[0]][record["target_new"].strip()] = None
    return {template: tuple(answers) for template, answers in by_template.items()}


def _inverses(records: Records) -> frozenset[tuple[str, str]]:
    shown: Counter[tuple[str, str]] = Counter()
    for record in records:
        shown.update({(_templates(record)[0], inverse) for inverse in inverse_of(record, names_of(record))})
    return frozenset(pair for pair, times in shown.items() if times >= _LEAST_SHOWN)


def _without_answer(records: Records) -> list[str]:
    lacking = [str(record["index"]) for record in records if "ground_truth" not in record]
    return [f"records without an original answer: {', '.join(lacking)}"] if lacking else []


def _same_answer(records: Records, barred: frozenset[tuple[str, str]]) -> list[str]:
    """Records whose original answer is a new one of the same prompt."""
    notes = []
    for record in records:
        truth = _truth(record)
        if truth is not None and (record["prompt"].strip(), truth) in barred:
            notes.append(f"record {record['index']}: its original answer {truth!r} is also a new one of its prompt")
    return notes


def _truth(record: Record) -> str | None:
    return record["ground_truth"][0].strip() if "ground_truth" in record else None
