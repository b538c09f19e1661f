"""Edit facts of any model, see whether they took and what else moved, and save the result."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from easyedit_ice.cli.command_settings import MODEL_HELP, add_settings, add_threads, algorithm_named, settings_for
from easyedit_ice.cli.console import whole_number, working
from easyedit_ice.cli.json_output import add_json, print_json
from easyedit_ice.cli.results import add_results, check_model, check_places, save
from easyedit_ice.cli.shown_verdict import show_answers, show_verdict
from easyedit_ice.cli.status import DONE, INTERRUPTED, MISSED
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.usual_settings import usual_source
from easyedit_ice.editors.choosing import JOBS, Choice, choose
from easyedit_ice.errors import RequestError
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.threads import threads

if TYPE_CHECKING:
    from torch import nn

    from easyedit_ice.verdict.edit_facts import EditOutcome

Answers = list[tuple[str, str, str]]
"""Prompts with what the model writes before and after the edit."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--model", help=MODEL_HELP)
    fact = parser.add_argument_group("one fact")
    fact.add_argument("--prompt", help="text the target shall follow")
    fact.add_argument("--target", help="what shall follow the prompt")
    fact.add_argument("--subject", help="what the fact is about, as spelt in the prompt")
    fact.add_argument("--rephrase", metavar="PROMPT", help="the prompt in other words, for the verdict")
    facts = parser.add_argument_group("facts of a file")
    facts.add_argument(
        "--facts",
        metavar="FILE",
        help="JSON, JSON lines, CSV or TSV, with prompt, target_new, subject, rephrase_prompt, locality, portability",
    )
    facts.add_argument(
        "--one-by-one", action="store_true", help="write one fact after the other; by default all together"
    )
    parser.add_argument("--ask", action="append", default=[], metavar="PROMPT", help="another question to show")
    parser.add_argument("--algorithm", help=f"one of {', '.join(ALGORITHMS)}; by default what `choose` recommends")
    parser.add_argument(
        "--for",
        dest="job",
        metavar="JOB",
        help=f"choose the algorithm for a job: {', '.join(entry.name for entry in JOBS)}",
    )
    add_settings(parser)
    parser.add_argument(
        "--chat", action="store_true", help="edit and ask in the user's turn of the model's chat template"
    )
    add_results(parser)
    parser.add_argument(
        "--force", action="store_true", help="save also where a fact did not take; the status is 0 then"
    )
    add_json(parser)
    parser.add_argument(
        "--max-new-tokens",
        type=whole_number(1, 512),
        default=16,
        metavar="N",
        help="most tokens of an answer to --ask, 1 to 512",
    )
    add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    """Edit, judge, save, and print what came of it."""
    job = _job(arguments)
    check_places(arguments, job.name)
    with threads(arguments.threads):
        return _edit(arguments, job)


@dataclass(frozen=True)
class _Job:
    """What is to be done, before any model is loaded.

    Attributes:
        name: of the model.
        facts: to write.
        hparams: of the algorithm.
        choice: why that one; none where it was asked for by name.
        source: of the settings: a file, a preset or ``auto``.
        one_by_one: whether facts are written one after the other.
    """

    name: str
    facts: tuple[EditRequest, ...]
    hparams: EditHyperParams
    choice: Choice | None
    source: str
    one_by_one: bool

    def told(self) -> str:
        """In a line or two."""
        why = f" for {self.choice.what} ({self.choice.doc}, `easyedit-ice choose`)" if self.choice else ""
        lines = [f"{self.hparams.alg_name}{why}; settings: {self.source}."]
        if len(self.facts) > 1:
            lines.append(f"{len(self.facts)} facts, {'one by one' if self.one_by_one else 'all together'}.")
        return "\n".join(lines)

    def notes(self) -> dict[str, Any]:
        """For the update's ``info``."""
        chosen = (
            {"by": "auto", "what": self.choice.what, "why": self.choice.why, "doc": self.choice.doc}
            if self.choice
            else {"by": "user"}
        )
        return {"chosen": {"algorithm": self.hparams.alg_name, "settings": self.source} | chosen}


def _job(arguments: argparse.Namespace) -> _Job:
    from easyedit_ice import factworld

    records = _records(arguments)
    one_by_one = arguments.one_by_one and len(records) > 1
    choice = None if arguments.algorithm else choose(records, one_by_one=one_by_one, wanted=arguments.job)
    spec = algorithm_named(choice.algorithm if choice else arguments.algorithm)
    name = arguments.model or str(factworld.model_path())
    hparams = settings_for(spec.hparams_class, name, arguments)
    return _Job(
        name,
        EditRequest.prepare(records, spec.needs_subject),
        hparams.replace(chat=hparams.chat or arguments.chat),
        choice,
        arguments.hparams or usual_source(spec.hparams_class, name),
        one_by_one or (len(records) > 1 and not spec.batchable),
    )


def _records(arguments: argparse.Namespace) -> Sequence[Mapping[str, Any]]:
    """The fact or facts that were given."""
    single = {
        "prompt": arguments.prompt,
        "target_new": arguments.target,
        "subject": arguments.subject,
        "rephrase_prompt": arguments.rephrase,
    }
    fact = {key: value for key, value in single.items() if value is not None}
    if arguments.facts is None:
        if missing := [f"--{name}" for name in ("prompt", "target") if getattr(arguments, name) is None]:
            raise RequestError(f"{' and '.join(missing)} missing; give --prompt and --target, or --facts FILE")
        return [fact]
    if fact:
        raise RequestError("--facts was given, and a fact besides; put it into the file, or leave --facts out")
    from easyedit_ice.data.fact_files import read_facts

    return read_facts(arguments.facts)


def _edit(arguments: argparse.Namespace, job: _Job) -> int:
    from easyedit_ice.checkpoints.loading import load_model
    from easyedit_ice.verdict.edit_facts import EditsInterrupted, edit_facts

    started = time.perf_counter()
    with working(not arguments.json):
        model, tok = load_model(job.hparams)
        check_model(arguments, model, ALGORITHMS[job.hparams.alg_name].beside)
    _tell(arguments, job.told())
    with working(not arguments.json):
        before = _answers(arguments, job, model, tok)
        try:
            edited = edit_facts(model, tok, job.facts, job.hparams, one_by_one=job.one_by_one, notes=job.notes())
            status = DONE
        except EditsInterrupted as stop:
            if stop.done is None:
                raise
            edited, status = stop.done, INTERRUPTED
        edited.update.commit(model)
        after = _answers(arguments, job, model, tok)
    answers = [(prompt, *texts) for prompt, *texts in zip(arguments.ask, before, after, strict=True)]
    if status == INTERRUPTED:
        sys.stderr.write(f"interrupted: {len(edited.facts)} of {len(job.facts)} facts were edited\n")
    if not arguments.json:
        show_answers(answers)
        show_verdict(edited, arguments.threads, time.perf_counter() - started)
    saving = edited.verdict.took or arguments.force
    saved = save(arguments, job.name, edited.update, model, tok) if saving else {}
    if not saving and status == DONE:
        status = MISSED
    if arguments.json:
        print_json(_told(job, edited, answers, saved, arguments.threads, status))
    else:
        for where, what in saved.items():
            print(f"{what} is saved in {where}")
        if not saving:
            print("Nothing is saved: not every fact took (--force saves all the same).")
        elif status == INTERRUPTED and not saved:
            print("Nothing is saved: --save FOLDER would have kept the facts that were edited.")
    return status


def _answers(arguments: argparse.Namespace, job: _Job, model: nn.Module, tok: Tokenizer) -> list[str]:
    """What the model writes after the questions that are to be shown."""
    if not arguments.ask:
        return []
    from easyedit_ice.evaluation import Question, observe
    from easyedit_ice.text.chat import asking_for

    asked = [Question("shown", prompt, prompt, ()) for prompt in arguments.ask]
    asking = asking_for(tok, job.hparams.chat)
    (texts,) = observe(model, tok, [asked], asking=asking, max_new_tokens=arguments.max_new_tokens)
    return [answer.generated or "" for answer in texts]


def _told(
    job: _Job, edited: EditOutcome, answers: Answers, saved: Mapping[str, str], count: int, status: int
) -> dict[str, Any]:
    """All that happened, as plain values."""
    return {
        "status": status,
        "took": edited.verdict.took,
        "model": job.name,
        **job.notes(),
        "one_by_one": edited.one_by_one,
        "seconds": round(edited.seconds, 3),
        "preparing": round(edited.preparing, 3),
        "threads": count,
        "weights": list(edited.update.deltas),
        "verdict": edited.verdict.to_dict(),
        "answers": [{"prompt": prompt, "before": old, "after": new} for prompt, old, new in answers],
        "saved": list(saved),
    }


def _tell(arguments: argparse.Namespace, text: str) -> None:
    """A line for a reader; scripts want none on stdout."""
    print(text, file=sys.stderr if arguments.json else sys.stdout, flush=True)
