"""Lines of the ledger, from what a model answered before and after."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace

from easyedit_ice.bench.asking.fact_answers import Answers
from easyedit_ice.bench.asking.facts import Fact
from easyedit_ice.bench.storage.finite_lines import with_nulls
from easyedit_ice.bench.storage.line import JUDGED, PROBED, Answer, Line
from easyedit_ice.bench.telemetry.cost import Cost
from easyedit_ice.evaluation import FactScore, Observation, Question, edit_scores, is_right, leads_right
from easyedit_ice.evaluation.probes import shares
from easyedit_ice.evaluation.teacher_forced.host_scores import by_measure


def before_line(fact: Fact, answers: Answers) -> Line:
    """What the unedited model says of a fact: nothing can have been kept yet, so locality has only probabilities."""
    return with_nulls(_line("before", fact, 0, _scores(fact, answers, answers).without_comparison(), answers, answers))


def edit_line(
    fact: Fact, step: int, before: Answers, after: Answers, norms: Mapping[str, list[float]], cost: Cost, facts: int
) -> Line:
    """What the model says of a fact right after its edit, which wrote ``facts`` facts at once."""
    line = _line("immediate", fact, step, _scores(fact, before, after), before, after)
    line["update"] = {"norm": dict(norms)}
    line["cost"] = {
        "edit_seconds": cost.seconds / facts,
        "evaluation_seconds": after.seconds,
        "peak_mib": cost.peak_mib,
    }
    if cost.first:
        line["cost"]["first"] = True
    return line


def later_line(phase: str, fact: Fact, step: int, before: Answers, after: Answers) -> Line:
    """What the model says of a fact after ``step`` facts."""
    return with_nulls(_line(phase, fact, step, _scores(fact, before, after), before, after))


def failure_line(fact: Fact, step: int, error: BaseException) -> Line:
    """A fact that a method could not write; an error that says nothing is told by the line that raised it."""
    raised = traceback.extract_tb(error.__traceback__)[-1]
    message = f"{type(error).__name__}: {str(error) or f'{raised.line} ({raised.name})'}"
    return {"phase": "failed", "position": fact.position, "step": step, "case": fact.case, "error": message}


def _scores(fact: Fact, before: Answers, after: Answers) -> FactScore:
    """Scores of a fact; teacher-forced ones from EasyEdit's own evaluator where that was asked."""
    scores = edit_scores(fact.asked, before.observations, after.observations)
    if before.quality is None or after.quality is None:
        return scores
    return replace(scores, teacher_forced=by_measure(after.quality, before.quality))


def _line(phase: str, fact: Fact, step: int, scores: FactScore, before: Answers, after: Answers) -> Line:
    line: Line = {
        "phase": phase,
        "position": fact.position,
        "step": step,
        "case": fact.case,
        "scores": scores.to_dict() | _of_probes(phase, after) | _of_judge(fact, after),
    }
    ends = [observation.stopped for observation in after.observations if observation.stopped is not None]
    if ends:
        line["stopped"] = sum(ends) / len(ends)
    if after.fluency is not None:
        line["fluency"] = after.fluency
    if after.in_ledger:
        judged = after.judged or (None,) * len(fact.asked)
        asked = zip(fact.asked, before.observations, after.observations, judged, strict=True)
        line["answers"] = [*(_answer(*parts) for parts in asked), *_probe_answers(after)]
    return line


def _of_probes(phase: str, answers: Answers) -> dict[str, dict[str, float]]:
    """Scores of probes by style: as all are asked, and before any edit also those of what the model can answer."""
    asked = {PROBED: answers.probed} | (dict(answers.able) if phase == "before" else {})
    return {style: shares(probes) for style, probes in asked.items() if probes}


def _of_judge(fact: Fact, answers: Answers) -> dict[str, dict[str, float]]:
    """Shares of answers that the judge calls right, by measure; nothing where nobody judged."""
    verdicts: dict[str, list[bool]] = {}
    for question, right in zip(fact.asked, answers.judged, strict=False):
        if right is not None:
            verdicts.setdefault(question.measure, []).append(right)
    return (
        {JUDGED: {measure: sum(of_measure) / len(of_measure) for measure, of_measure in verdicts.items()}}
        if verdicts
        else {}
    )


def _probe_answers(answers: Answers) -> Iterator[Answer]:
    """What the model chose of the options of each probe's texts."""
    for probes in answers.probed:
        for item, log_probs in zip(probes.items, probes.log_probs, strict=True):
            chosen = max(range(len(log_probs)), key=log_probs.__getitem__)
            yield {
                "measure": f"{PROBED}.{probes.probe}",
                "prompt": item.prompt,
                "answer": item.options[item.right],
                "options": list(item.options),
                "log_probs": list(log_probs),
                "chosen": item.options[chosen],
                "right": chosen == item.right,
            }


def _answer(question: Question, before: Observation, after: Observation, judged: bool | None) -> Answer:
    answer: Answer = {"measure": question.measure, "prompt": question.prompt, "answer": question.answer}
    answer["token_accuracy"] = after.agrees_with(before) if question.keeps else after.token_accuracy
    if after.generated is not None:
        answer |= {"generated": after.generated, "right": is_right(question, before, after)}
    if judged is not None:
        answer["judged"] = judged
    if after.leading is not None:
        answer["leads"] = leads_right(question, before, after)
    if after.log_prob is not None:
        new, old = (after.other_log_prob, after.log_prob) if question.keeps else (after.log_prob, after.other_log_prob)
        answer |= {"p_new": new, "p_old": old}
    return answer
