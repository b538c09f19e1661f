"""Experts of single relations: trained, saved, loaded, and composed in every way, with one plot of each.

    python examples/experts.py --folder experts

SVF trains a few numbers for each singular value of some weights, so an expert is a file of some kilobytes, and experts
of one model add up. It edits the small GPT-2 that comes with the package.
"""

import argparse
from pathlib import Path

from easyedit_ice import SVFHyperParams, factworld
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.evaluation import Question, observe
from easyedit_ice.evaluation.intervals import interval
from easyedit_ice.experts import (
    Example,
    FixedAlphas,
    LabelDispatcher,
    Library,
    Wording,
    composed,
    search_alphas,
    train_classifier,
    train_experts,
)
from easyedit_ice.experts.expert_plots import draw_alphas, draw_scores

RELATIONS = ("employer", "birthplace", "residence", "profession")
OTHERS = ("university", "spouse")
WORDING = Wording(labels={"residence": "home"}, template="{question} Topic:")
TRAINING = SVFHyperParams.from_hparams("SVF/gpt2-factworld-experts")
CLASSIFYING = SVFHyperParams(
    lr=2e-2, num_steps=12, target_modules=["all"], layers=[2, 3, 4, 5], micro_batch_size=16, append_eos=False
)


def main(folder: Path, count: int) -> None:
    """Train, compose, draw."""
    model, tok = factworld.load()
    records = {relation: dev_records(relation, count) for relation in RELATIONS}
    facts = [record for own in records.values() for record in own]
    others = [record["prompt"] for relation in OTHERS for record in dev_records(relation, 2 * count)]

    library = Library(folder / "library")
    trained = train_experts(
        model, tok, to_requests(facts), TRAINING, "relation", relations=[record["relation"] for record in facts]
    )
    library.save([*trained, train_classifier(model, tok, trained, others, CLASSIFYING, WORDING)])
    experts, classifier = library.load(RELATIONS), library.expert("classifier")
    print("experts:", ", ".join(f"{expert.name} ({expert.size.bytes / 1024:.0f} KiB)" for expert in experts))

    shots = [Example(own[0]["prompt"], own[0]["target_new"]) for own in records.values()]
    found = search_alphas(model, tok, experts, shots, iterations=5)  # one mixture for all kinds of questions
    dispatchers = {
        "sum": FixedAlphas([1.0] * len(experts)),
        "mean": FixedAlphas([1 / len(experts)] * len(experts)),
        "search": FixedAlphas(found.best),
        "prompt": LabelDispatcher(WORDING),
        "classifier": LabelDispatcher(WORDING, classifier=classifier),
    }
    scores, alphas = {}, {}
    for name, dispatcher in dispatchers.items():
        scores[name] = asked(model, tok, experts, dispatcher, facts)
        alphas[name] = chosen(model, tok, experts, dispatcher, records)
        print(f"{name:10}", *(f"{measure} {value}" for measure, value in scores[name].items()))
    draw_scores(scores, folder / "scores.png")
    draw_alphas(alphas, RELATIONS, [expert.name for expert in experts], folder / "alphas.png")


def dev_records(relation: str, count: int) -> list[dict]:
    """The first facts of a relation."""
    return [one for one in load_records("factworld", split="dev") if one["relation"] == relation][:count]


def asked(model, tok, experts, dispatcher, facts) -> dict:
    """Share of facts that the model writes, in the trained wording and in another."""
    wordings = {"rewrite": "prompt", "rephrase": "rephrase_prompt"}
    questions = [
        [Question(measure, fact[key], fact["target_new"], ()) for measure, key in wordings.items()] for fact in facts
    ]
    prompts = [question.prompt for own in questions for question in own]
    with composed(model, tok, experts, dispatcher) as answering, answering.deciding_on(prompts):
        answers = observe(model, tok, questions, max_new_tokens=10)
    right = [
        [answer.generated == fact["target_new"] for answer in own] for own, fact in zip(answers, facts, strict=True)
    ]
    return {measure: interval(own) for measure, own in zip(wordings, zip(*right, strict=True), strict=True)}


def chosen(model, tok, experts, dispatcher, records) -> list[list[float]]:
    """Mean alpha of each expert for the other wordings of each relation's facts."""
    return [
        dispatcher.alphas(model, tok, experts, [fact["rephrase_prompt"] for fact in own]).mean((0, 2)).tolist()
        for own in records.values()
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("experts"), help="for experts and plots")
    parser.add_argument("--facts", type=int, default=4, help="of each relation")
    arguments = parser.parse_args()
    main(arguments.folder, arguments.facts)
