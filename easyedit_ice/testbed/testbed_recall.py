"""What a testbed knows and follows, on the records it was trained for."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from easyedit_ice.data.load import load_records
from easyedit_ice.data.records import Record, Records
from easyedit_ice.factworld.training.recall import answered, shares
from easyedit_ice.factworld.world_questions import Question
from easyedit_ice.factworld.world_text import JOINTS, LEADS
from easyedit_ice.testbed.gather import gather
from easyedit_ice.testbed.implied import implied_by
from easyedit_ice.testbed.testbed_facts import Knowledge


def measure_testbed(
    model_dir: str | Path, facts: str | Path | Records, *, share: float = 1.0, seed: int = 0
) -> dict[str, Any]:
    """Ask a testbed what its file tells, and what would follow from each record's new answer.

    An answer counts if greedy decoding gives exactly it and then ends.

    Args:
        model_dir: folder of the model.
        facts: the file, or its records.
        share: part of the questions that is asked, drawn by ``seed``.
        seed: of the questions, and of the words around new facts.

    Returns:
        ``recall``: shares of right original answers by their source; ``context``: shares of right answers with the
        record's new fact stated before the question, by kind; ``unprompted``: share of records whose new answer comes
        without being stated; ``questions``: how many were asked, by group.

    Raises:
        DataError: the file cannot be read, or tells no original answer.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    records = facts if isinstance(facts, Records) else load_records(facts)
    knowledge, rng = gather(records), random.Random(f"measure {seed}")
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForCausalLM.from_pretrained(model_dir).float().eval()

    def some(questions: Iterator[Question]) -> list[Question]:
        pool = list(questions)
        return rng.sample(pool, max(1, round(share * len(pool))))

    recall, context = some(recall_questions(knowledge)), some(context_questions(records, knowledge, rng))
    unprompted = answered(model, tokenizer, list(new_answers(records)))
    return {
        "recall": shares(model, tokenizer, recall),
        "context": shares(model, tokenizer, context),
        "unprompted": sum(unprompted) / len(unprompted),
        "questions": {
            name: dict(sorted(Counter(question.group for question in asked).items()))
            for name, asked in (("recall", recall), ("context", context))
        },
    }


def recall_questions(knowledge: Knowledge) -> Iterator[Question]:
    """Every prompt of every fact, grouped by the fact's source."""
    for fact in knowledge.facts:
        for prompt in fact.prompts:
            yield Question(fact.source, prompt, fact.answer)


def new_answers(records: Sequence[Record]) -> Iterator[Question]:
    """Each record's prompt with its new answer."""
    for record in records:
        yield Question("new answer", record["prompt"].strip(), record["target_new"].strip())


def context_questions(records: Sequence[Record], knowledge: Knowledge, rng: random.Random) -> Iterator[Question]:
    """The records' probes, each after a statement of the record's new fact in drawn words.

    Groups: the ``prompt`` itself, the ``rephrase``, an ``alias``; ``reasoning`` from facts that the model was taught,
    and ``reasoning, any`` probe, each with the answer it is scored by; ``locality`` where the answer was taught.
    """
    taught = {prompt: fact.answer for fact in knowledge.facts for prompt in fact.prompts}
    for record in records:
        target = record["target_new"].strip()
        statement = f"{rng.choice(LEADS)}{record['prompt'].strip()} {target}{rng.choice(JOINTS)}"
        for group, prompt, answer in dict.fromkeys(_probes(record, taught)):
            yield Question(group, statement + prompt, answer)


def _probes(record: Record, taught: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    target = record["target_new"].strip()
    yield "prompt", record["prompt"].strip(), target
    if "rephrase_prompt" in record:
        yield "rephrase", record["rephrase_prompt"].strip(), target
    for probe in record["portability"].get("Subject_Aliasing", ()):
        yield "alias", probe["prompt"].strip(), target
    for probe in record["portability"].get("Reasoning", ()):
        prompt = probe["prompt"].strip()
        yield "reasoning, any", prompt, probe["ground_truth"][0][0].strip()
        for fact in implied_by(record, probe):
            answer = taught.get(fact.prompts[0]) if fact.source == "target" else target
            if answer is not None and answer in fact.accepted | {target}:
                yield "reasoning", prompt, answer
    for probes in record["locality"].values():
        for probe in probes:
            prompt = probe["prompt"].strip()
            if prompt in taught:
                yield "locality", prompt, taught[prompt]
