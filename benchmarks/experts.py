"""Experts of four relations, alone, added, and chosen: which way of composing them answers best?

An SVF expert is trained on test facts of each relation of the embedded world. All of them are asked about all of those
facts: the trained prompts (rewrite), other wordings, what follows from the facts, and what must stay. No question but
the trained prompts is seen in any training or search, and none holds its own answer. A dispatcher decides by a
question's prompt alone.

    OMP_NUM_THREADS=1 python benchmarks/experts.py --facts 12
    OMP_NUM_THREADS=1 python benchmarks/experts.py --experts diagonal --out benchmarks/results/experts/diagonal
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from easyedit_ice import EditRequest, factworld, solve
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.algorithms.svf import SVFHyperParams
from easyedit_ice.evaluation import FactScore, Interval, Observation, Question, edit_scores, observe, questions
from easyedit_ice.evaluation.intervals import interval, with_sections
from easyedit_ice.experts import (
    Example,
    Expert,
    LabelDispatcher,
    Wording,
    composed,
    mixed,
    search_alphas,
    train_classifier,
    train_experts,
)
from easyedit_ice.experts.expert_plots import draw_alphas, draw_scores
from easyedit_ice.text.rows import prefix_ids
from easyedit_ice.text.sampling import write

RESULTS = Path(__file__).parent / "results" / "experts"
RELATIONS = ("employer", "birthplace", "residence", "profession")
MEASURES = ("rewrite", "rephrase", "portability", "locality")
SHOTS = 4
"""Trained prompts of each relation that a search is given."""
OTHERS = 48
"""Prompts of other relations, from dev facts, that a classifier learns to leave to the base."""
STRANGERS = 24
"""Prompts of each of the four relations, of dev facts, that a second classifier learns to leave to the base as well."""
TIMED = 24
"""Questions by which the two passes are timed."""
LONGEST = 12
"""Most tokens of an answer."""
EXPERTS = {
    "bands": SVFHyperParams.from_hparams("SVF/gpt2-factworld-experts"),
    "diagonal": SVFHyperParams(
        depth=[0.0, 1.0], lr=2e-2, num_steps=100, mini_batch_size=16, micro_batch_size=16, append_eos=True
    ),
}
CLASSIFIER = SVFHyperParams(
    target_modules=["all"],
    depth=[0.0, 1.0],
    lr=1e-2,
    num_steps=40,
    mini_batch_size=16,
    micro_batch_size=16,
    append_eos=False,
)
WORDING = Wording(labels={"residence": "home"}, template="{question} Topic:")


def main() -> None:
    """Train, ask in every way, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=12, help="of each relation")
    parser.add_argument("--experts", choices=tuple(EXPERTS), default="bands", help="what their training changes")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    bench = Bench.of(arguments.facts, EXPERTS[arguments.experts])
    found = {way.name: bench.scored(way) for way in bench.ways()}
    result = {
        "facts_per_relation": arguments.facts,
        "expert": bench.experts[0].settings,
        "size": asdict(bench.experts[0].size),
        "classifier": CLASSIFIER.to_dict(),
        "wording": asdict(WORDING),
        "seconds_beforehand": bench.seconds,
        "passes": bench.timed(),
        "alphas": bench.alphas,
        "rightly_chosen": bench.rightly,
        "scores": {name: _plain(scores) for name, scores in found.items()},
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "experts.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    (arguments.out / "experts.md").write_text(markdown(result))
    draw_alphas(bench.alphas, RELATIONS, [expert.name for expert in bench.experts], arguments.out / "alphas.png")
    draw_scores({name: scores["all"]["generated"] for name, scores in found.items()}, arguments.out / "scores.png")
    print((arguments.out / "experts.md").read_text())


@dataclass(frozen=True)
class Way:
    """A way of answering.

    Attributes:
        name: in the tables.
        updates: what is committed while the facts of each relation are asked; nothing if it is empty.
        dispatcher: that chooses instead.
    """

    name: str
    updates: Mapping[str, WeightUpdate] = field(default_factory=dict)
    dispatcher: LabelDispatcher | None = None


@dataclass
class Bench:
    """Facts, their questions, and experts.

    Attributes:
        model: the base.
        tok: its tokenizer.
        facts: by relation.
        asked: questions of each fact, by relation.
        before: the base's answers.
        experts: one of each relation.
        everything: one trained on all facts.
        classifier: tells the experts apart.
        careful: one that was told of other subjects of the same relations too.
        seconds: of each training.
        alphas: mean α by way, relation of the question, and expert.
        rightly: share of questions given to their relation's expert, or of those that must stay to the base, by
            dispatcher and measure.
    """

    model: Any
    tok: Any
    facts: dict[str, list[EditRequest]]
    asked: dict[str, list[list[Question]]]
    before: dict[str, list[tuple[Observation, ...]]]
    experts: list[Expert]
    everything: Expert
    classifier: Expert
    careful: Expert
    seconds: dict[str, float]
    alphas: dict[str, list[list[float]]] = field(default_factory=dict)
    rightly: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, count: int, hparams: SVFHyperParams) -> Bench:
        """Everything trained, and the base asked."""
        model, tok = factworld.load()
        facts = chosen_facts(count)
        flat = [request for own in facts.values() for request in own]
        asked = {relation: [test_questions(request, flat) for request in own] for relation, own in facts.items()}
        before = {relation: observe(model, tok, own, max_new_tokens=LONGEST) for relation, own in asked.items()}
        kinds = [relation for relation, own in facts.items() for _ in own]
        seconds: dict[str, float] = {}
        with timed(seconds, "four experts"):
            experts = train_experts(model, tok, flat, hparams, relations=kinds)
        with timed(seconds, "one expert of everything"):
            everything = Expert.of(solve(model, tok, flat, hparams), model, "everything", flat, hparams)
        with timed(seconds, "classifier"):
            classifier = train_classifier(model, tok, experts, other_prompts(), CLASSIFIER, WORDING)
        with timed(seconds, "classifier told of strangers"):
            others = [*other_prompts(), *strangers()]
            careful = train_classifier(model, tok, experts, others, CLASSIFIER, WORDING)
        return cls(model, tok, facts, asked, before, experts, everything, classifier, careful, seconds)

    def ways(self) -> Iterator[Way]:
        """All ways, in the order of the tables."""
        yield Way("base")
        for number, expert in enumerate(self.experts):
            yield self._mixture(f"{expert.name} alone", _one_hot(number, len(self.experts)))
        yield Way("one expert of everything", dict.fromkeys(RELATIONS, self.everything.update(self.model)))
        yield self._mixture("sum, α = 1", torch.ones(len(self.experts)))
        yield self._mixture("mean, α = 1/K", torch.full((len(self.experts),), 1 / len(self.experts)))
        for by_module, per in ((False, "expert"), (True, "expert and matrix")):
            yield self._mixture(f"search by {per}, one for all", self._searched(RELATIONS, by_module))
            own = {relation: self._searched((relation,), by_module) for relation in RELATIONS}
            yield self._mixtures(f"search by {per}, for each relation", own)
        yield Way("prompt dispatch", dispatcher=LabelDispatcher(WORDING))
        yield Way("classifier dispatch", dispatcher=LabelDispatcher(WORDING, classifier=self.classifier))
        yield Way("classifier told of strangers", dispatcher=LabelDispatcher(WORDING, classifier=self.careful))
        order = [expert.name for expert in self.experts]
        own = {relation: _one_hot(order.index(relation), len(order)) for relation in RELATIONS}
        yield self._mixtures("oracle: the relation's expert", own)

    def scored(self, way: Way) -> dict[str, dict[str, dict[str, Interval]]]:
        """Intervals by relation and in all, by mode and measure."""
        print(way.name, flush=True)
        prompts = [question.prompt for own in self.asked.values() for fact in own for question in fact]
        scores: dict[str, list[FactScore]] = {}
        with self._answering(way) as answering:
            deciding = nullcontext() if answering is None else answering.deciding_on(prompts)
            with deciding:
                for relation in RELATIONS:
                    scores[relation] = self._scores(relation, way.updates.get(relation))
        if way.dispatcher is not None:
            self.alphas[way.name] = [self._chosen(way.dispatcher, relation) for relation in RELATIONS]
            self.rightly[way.name] = {measure: self._rightly(way.dispatcher, measure) for measure in MEASURES}
        scores["all"] = [score for relation in RELATIONS for score in scores[relation]]
        return {relation: intervals(own) for relation, own in scores.items()}

    def timed(self) -> dict[str, dict[str, float]]:
        """Milliseconds of both passes for a question answered by itself, by dispatcher."""
        prompts = [own[1].prompt for relation in RELATIONS for own in self.asked[relation]]
        prompts = prompts[:: max(1, len(prompts) // TIMED)][:TIMED]
        found = {}
        for name, classifier in (("prompt dispatch", None), ("classifier dispatch", self.classifier)):
            with composed(self.model, self.tok, self.experts, LabelDispatcher(WORDING, classifier=classifier)) as own:
                write(self.model, self.tok, [prefix_ids(self.tok, prompts[0])], length=LONGEST)
                own.seconds.first = own.seconds.second = 0.0
                for prompt in prompts:
                    write(self.model, self.tok, [prefix_ids(self.tok, prompt)], length=LONGEST)
                spent = own.seconds
            found[name] = {
                "first": 1000 * spent.first / len(prompts),
                "second": 1000 * spent.second / len(prompts),
                "ratio": spent.first / spent.second,
            }
        return found

    def _answering(self, way: Way) -> AbstractContextManager[Any]:
        if way.dispatcher is None:
            return nullcontext()
        return composed(self.model, self.tok, self.experts, way.dispatcher)

    def _scores(self, relation: str, update: WeightUpdate | None) -> list[FactScore]:
        if update is not None:
            update.commit(self.model)
        try:
            after = observe(self.model, self.tok, self.asked[relation], max_new_tokens=LONGEST)
        finally:
            if update is not None:
                update.revert(self.model)
        return [edit_scores(*own) for own in zip(self.asked[relation], self.before[relation], after, strict=True)]

    def _mixture(self, name: str, alphas: torch.Tensor) -> Way:
        return self._mixtures(name, dict.fromkeys(RELATIONS, alphas))

    def _mixtures(self, name: str, alphas: Mapping[str, torch.Tensor]) -> Way:
        if "alone" not in name:
            self.alphas[name] = [_by_expert(alphas[relation]) for relation in RELATIONS]
        updates = {relation: mixed(self.experts, own, self.model) for relation, own in alphas.items()}
        return Way(name, updates)

    def _searched(self, relations: Sequence[str], by_module: bool) -> torch.Tensor:
        shots = [
            Example(request.prompt, request.target_new)
            for relation in relations
            for request in self.facts[relation][:SHOTS]
        ]
        times = "once" if len(relations) > 1 else "for each relation"
        with timed(self.seconds, f"search{' by matrix' if by_module else ''}, {times}, {len(shots)} examples"):
            return search_alphas(self.model, self.tok, self.experts, shots, by_module=by_module).best

    def _chosen(self, dispatcher: LabelDispatcher, relation: str) -> list[float]:
        prompts = [question.prompt for own in self.asked[relation] for question in own if not question.keeps]
        return dispatcher.alphas(self.model, self.tok, self.experts, prompts).mean((0, 2)).tolist()

    def _rightly(self, dispatcher: LabelDispatcher, measure: str) -> float:
        names = [expert.name for expert in self.experts]
        right = []
        for relation, facts in self.asked.items():
            prompts = [one.prompt for own in facts for one in own if one.measure.partition(".")[0] == measure]
            wanted = None if measure == "locality" else names.index(relation)
            right += [own == wanted for own in dispatcher.choose(self.model, self.tok, self.experts, prompts)]
        return mean(right)


def chosen_facts(count: int) -> dict[str, list[EditRequest]]:
    """So many test facts of each relation, no subject twice."""
    taken: set[str] = set()
    found: dict[str, list[EditRequest]] = {}
    records = load_records("factworld", split="test").records
    for relation in RELATIONS:
        own = [one for one in records if one["relation"] == relation and one["subject"] not in taken][:count]
        taken |= {one["subject"] for one in own}
        found[relation] = list(EditRequest.prepare(to_requests(own)))
    return found


def test_questions(request: EditRequest, facts: Sequence[EditRequest]) -> list[Question]:
    """A fact's questions without those that hold their own answer or are another trained prompt."""
    trained = {fact.prompt for fact in facts}
    return [
        question
        for question in questions(request)
        if question.measure == "rewrite"
        or (question.prompt not in trained and not any(alias in question.prompt for alias in question.aliases))
    ]


def other_prompts() -> list[str]:
    """Prompts of dev facts of other relations."""
    records = load_records("factworld", split="dev").records
    return [record["prompt"] for record in records if record["relation"] not in RELATIONS][:OTHERS]


def strangers() -> list[str]:
    """Prompts of dev facts of the four relations, none of whose subjects any expert knows."""
    records = load_records("factworld", split="dev").records
    own = [[one["prompt"] for one in records if one["relation"] == relation][:STRANGERS] for relation in RELATIONS]
    return [prompt for prompts in own for prompt in prompts]


def intervals(scores: Sequence[FactScore]) -> dict[str, dict[str, Interval]]:
    """Means with bootstrap intervals over facts, by mode and measure."""
    found: dict[str, dict[str, Interval]] = {}
    for mode in ("generated", "teacher_forced"):
        facts = [with_sections(getattr(score, mode)) for score in scores]
        found[mode] = {measure: interval([fact[measure] for fact in facts if measure in fact]) for measure in MEASURES}
    return found


def markdown(result: Mapping[str, Any]) -> str:
    """Tables of all ways: in all, and by relation."""
    lines = [f"# Experts of {', '.join(RELATIONS)}, {result['facts_per_relation']} facts each", ""]
    for mode, title in (("generated", "Written freely"), ("teacher_forced", "Teacher-forced")):
        lines += [f"## {title}, all relations", "", *_table(result["scores"], "all", mode), ""]
    for relation in RELATIONS:
        lines += [f"## Written freely, {relation}", "", *_table(result["scores"], relation, "generated"), ""]
    lines += ["## Questions given to the right expert, or to the base where the answer must stay", ""]
    lines += [f"| | {' | '.join(MEASURES)} |", "| --- |" + " ---: |" * len(MEASURES)]
    for name, own in result["rightly_chosen"].items():
        lines.append(f"| {name} | {' | '.join(f'{100 * own[measure]:.0f}' for measure in MEASURES)} |")
    lines += [
        "",
        "## Cost",
        "",
        "| | first pass, ms | second pass, ms | first / second |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, own in result["passes"].items():
        lines.append(f"| {name} | {own['first']:.0f} | {own['second']:.0f} | {own['ratio']:.2f} |")
    lines += [
        "",
        "Per cent, with 95 % bootstrap intervals over facts. Answers are written greedily, in at most "
        f"{LONGEST} tokens. An expert has {result['size']['numbers']} numbers. The passes are those of {TIMED} "
        "questions, each answered by itself; the first puts the question to the model with every label.",
    ]
    lines += ["", "| beforehand | s |", "| --- | ---: |"]
    lines += [f"| {name} | {seconds:.0f} |" for name, seconds in result["seconds_beforehand"].items()]
    return "\n".join(lines) + "\n"


def _table(scores: Mapping[str, Any], relation: str, mode: str) -> list[str]:
    lines = [f"| | {' | '.join(MEASURES)} |", "| --- |" + " ---: |" * len(MEASURES)]
    for name, own in scores.items():
        cells = [str(Interval(**own[relation][mode][measure])).strip() for measure in MEASURES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _plain(scores: Mapping[str, Any]) -> dict[str, Any]:
    return {
        relation: {
            mode: {measure: asdict(own) for measure, own in measures.items()} for mode, measures in modes.items()
        }
        for relation, modes in scores.items()
    }


def _one_hot(place: int, length: int) -> torch.Tensor:
    return torch.eye(length)[place]


def _by_expert(alphas: torch.Tensor) -> list[float]:
    return (alphas if alphas.ndim == 1 else alphas.mean(1)).tolist()


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the block's seconds to those of its name."""
    started = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started


if __name__ == "__main__":
    main()
