"""What every method answered to every question, before and after: the cases a reader can browse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from easyedit_ice.bench.report.analysis import Results
from easyedit_ice.bench.report.comparison import Group
from easyedit_ice.bench.report.phrases import PHASES, measure_order
from easyedit_ice.bench.report.reading_runs import fact_key
from easyedit_ice.bench.report.reported_scores import baselines
from easyedit_ice.bench.storage.line import Answer, Line

Asked = tuple[Any, ...]
"""What tells a question from others: its fact, measure and prompt, and how many times it stood there before."""


def cases(results: Sequence[Results]) -> dict[str, Any]:
    """All questions and answers, as few bytes as plain JSON allows.

    Returns:
        ``labels`` of the methods; ``groups`` with ``name``, ``phases`` and ``methods`` (places among the labels);
        ``facts`` as [prompt, new, old]; ``measures``; and ``rows``, one for each question in a phase: [group, phase,
        fact, measure, prompt, expected, before, answers], where group, phase, fact and measure are places in those
        lists, and answers has for each method of the group [right, text, token accuracy, log P(new), log P(old)], or
        null.
    """
    labels = list(dict.fromkeys(run.label for result in results for run in result.group.runs))
    asked = [
        (number, phase, *row)
        for number, result in enumerate(results)
        for phase, name in enumerate(result.phases)
        for row in _rows(result.group, name)
    ]
    facts = {fact: place for place, fact in enumerate(dict.fromkeys(fact for _, _, fact, *_ in asked))}
    order = sorted({measure for _, _, _, measure, *_ in asked}, key=measure_order)
    measures = {measure: place for place, measure in enumerate(order)}
    groups = [
        {
            "name": result.group.name,
            "phases": [PHASES[phase] for phase in result.phases],
            "methods": [labels.index(run.label) for run in result.group.runs],
        }
        for result in results
    ]
    rows = [[group, phase, facts[fact], measures[measure], *rest] for group, phase, fact, measure, *rest in asked]
    return {"labels": labels, "groups": groups, "facts": list(facts), "measures": order, "rows": rows}


def _rows(group: Group, phase: str) -> Iterator[list[Any]]:
    """Questions of a phase in the order of their facts: fact, measure, prompt, expected, before, answers.

    What was answered before is left out where the runs do not start from the same model.
    """
    unedited = [lines for _, _, lines in baselines(group, phase)] if group.alike else []
    before = {asked: answer for lines in unedited for asked, _, answer in _asked(lines)}
    by_run = [{asked: (line, answer) for asked, line, answer in _asked(run.at(phase))} for run in group.runs]
    for asked in dict.fromkeys(asked for answers in by_run for asked in answers):
        line, question = next(answers[asked] for answers in by_run if asked in answers)
        case = line["case"]
        yield [
            (case["prompt"], case["target_new"], case.get("ground_truth")),
            question["measure"],
            question["prompt"],
            question["answer"],
            _said(before[asked]) if asked in before else None,
            [_shown(answers[asked][1]) if asked in answers else None for answers in by_run],
        ]


def _asked(lines: Sequence[Line]) -> Iterator[tuple[Asked, Line, Answer]]:
    for line in lines:
        counts: Counter[tuple[str, str]] = Counter()
        for answer in line.get("answers", ()):
            question = answer["measure"], answer["prompt"]
            yield (fact_key(line), *question, counts[question]), line, answer
            counts[question] += 1


def _shown(answer: Answer) -> list[Any]:
    """Whether the answer is right (all of its tokens, where nothing was written freely), and what is known of it."""
    accuracy = answer.get("token_accuracy")
    right = answer.get("right")
    if right is None and accuracy is not None:
        right = accuracy >= 1
    values = (accuracy, answer.get("p_new"), answer.get("p_old"))
    numbers = [None if value is None else round(value, 3) for value in values]
    return [None if right is None else int(right), _said(answer), *numbers]


def _said(answer: Answer) -> str | None:
    """What the model wrote, or which option it chose."""
    return answer.get("generated", answer.get("chosen"))
