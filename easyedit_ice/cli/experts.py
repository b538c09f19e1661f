"""Train experts of singular values on groups of facts, look at them, and ask a model that answers with them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from easyedit_ice.cli.command_settings import MODEL_HELP, add_settings, settings_for
from easyedit_ice.cli.console import table, whole_number, working
from easyedit_ice.cli.json_output import add_json, as_records, print_json
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.errors import ExpertError

if TYPE_CHECKING:
    from easyedit_ice.experts import Dispatcher, Expert

_SHOWN = 10
"""Facts that ``show`` prints."""
_WAYS = ("fact", "relation", "cluster")
_STRATEGIES = ("prompt", "classifier", "fixed")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True)
    train = actions.add_parser("train", help="one expert for each group of facts")
    train.add_argument("folder", help="where experts go; those of the same names are replaced")
    train.add_argument("--model", help=MODEL_HELP)
    train.add_argument("--data", default="factworld", help="a JSON file, or the name of a benchmark")
    train.add_argument("--split", default="dev", help="part of a benchmark given by name")
    train.add_argument("--size", type=whole_number(1, 10**9), metavar="N", help="how many facts; all by default")
    train.add_argument("--by", default="relation", choices=_WAYS, help="how facts are grouped")
    train.add_argument("--clusters", type=whole_number(1, 10**6), metavar="N", help="how many, with --by cluster")
    add_settings(train)
    listing = actions.add_parser("list", help="the experts of a folder")
    listing.add_argument("folder")
    add_json(listing)
    show = actions.add_parser("show", help="one expert: what it is of, its facts, its settings")
    show.add_argument("folder")
    show.add_argument("name")
    add_json(show)
    delete = actions.add_parser("delete", help="delete experts")
    delete.add_argument("folder")
    delete.add_argument("names", nargs="+", metavar="name")
    _configure_ask(actions.add_parser("ask", help="let a model answer with the experts of a folder"))


def _configure_ask(ask: argparse.ArgumentParser) -> None:
    ask.add_argument("folder")
    add_json(ask)
    ask.add_argument("--model", help=MODEL_HELP)
    ask.add_argument("--prompt", action="append", required=True, help="text to go on from; may be given several times")
    ask.add_argument("--use", nargs="+", metavar="NAME", help="the experts to choose from; all but the classifier")
    ask.add_argument("--strategy", default="prompt", choices=_STRATEGIES, help="how experts are chosen")
    ask.add_argument("--classifier", metavar="NAME", help="the expert that chooses, with --strategy classifier")
    ask.add_argument("--template", help="of the question which expert to use, with {question} and maybe {labels}")
    ask.add_argument("--label", action="append", default=[], metavar="NAME=TEXT", help="text that stands for an expert")
    ask.add_argument("--other", default="other", help="text that stands for the base model")
    ask.add_argument("--margin", type=float, default=0.0, help="nats per token by which a label must lead")
    ask.add_argument(
        "--alpha", action="append", default=[], metavar="NAME=VALUE", help="weight of an expert, with --strategy fixed"
    )
    ask.add_argument("--max-new-tokens", type=whole_number(1, 512), default=16, metavar="N", help="of an answer")


def run(arguments: argparse.Namespace) -> int:
    """Do the chosen action."""
    return {"train": _train, "list": _list, "show": _show, "delete": _delete, "ask": _ask}[arguments.action](arguments)


def _train(arguments: argparse.Namespace) -> int:
    from easyedit_ice import factworld
    from easyedit_ice.checkpoints.loading import load_model
    from easyedit_ice.data import load_records, to_requests
    from easyedit_ice.editors.algorithms.svf import SVFHyperParams
    from easyedit_ice.experts import Library, train_experts

    name = arguments.model or str(factworld.model_path())
    hparams = cast("SVFHyperParams", settings_for(SVFHyperParams, name, arguments))
    records = load_records(arguments.data, split=arguments.split, size=arguments.size)
    kinds = [record.get("relation") for record in records]
    with working():
        model, tok = load_model(hparams)
        experts = train_experts(
            model, tok, to_requests(records), hparams, arguments.by, clusters=arguments.clusters, relations=kinds
        )
        Library(arguments.folder).save(experts)
    _print_experts(experts)
    print(f"\nsaved in {arguments.folder}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from easyedit_ice.experts import Library

    experts = Library(arguments.folder).load()
    if arguments.json:
        print_json({"folder": arguments.folder, "experts": as_records(_HEADER, _rows(experts))})
    else:
        _print_experts(experts)
        print(f"\nin {arguments.folder}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from easyedit_ice.experts import Library

    expert = Library(arguments.folder).expert(arguments.name)
    facts = [asdict(fact) for fact in expert.facts]
    about = {
        "name": expert.name,
        "fingerprint": expert.fingerprint,
        "svd": expert.svd,
        "svd_rank": expert.svd_rank,
        "modules": list(expert.modules),
        "size": asdict(expert.size),
        "scores": dict(expert.scores),
    }
    if arguments.json:
        print_json(about | {"facts": facts, "settings": expert.settings})
        return 0
    print(table(("of the expert", ""), [(name, _plain(value)) for name, value in about.items()]))
    shown = [(fact["prompt"], fact["target_new"], fact["relation"] or "") for fact in facts[:_SHOWN]]
    print("\n" + table(("prompt", "target", "relation"), shown))
    if len(facts) > _SHOWN:
        print(f"... and {len(facts) - _SHOWN} more; --json prints all")
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    from easyedit_ice.experts import Library

    library = Library(arguments.folder)
    for name in arguments.names:
        library.delete(name)
        print(f"deleted {Path(arguments.folder) / name}")
    return 0


def _ask(arguments: argparse.Namespace) -> int:
    from easyedit_ice import factworld
    from easyedit_ice.checkpoints.loading import load_model
    from easyedit_ice.evaluation import Question, observe
    from easyedit_ice.experts import composed

    experts, dispatcher = _chosen(arguments)
    hparams = ALGORITHMS["SVF"].hparams_class(model_name=arguments.model or str(factworld.model_path()))
    asked = [[Question("shown", prompt, "", ())] for prompt in arguments.prompt]
    options = {"max_new_tokens": arguments.max_new_tokens}
    with working(not arguments.json):
        model, tok = load_model(hparams)
        before = observe(model, tok, asked, **options)
        prompts = [prompt.strip() for prompt in arguments.prompt]
        alphas = dispatcher.alphas(model, tok, experts, prompts).mean(2).tolist()
        with composed(model, tok, experts, dispatcher) as answering, answering.deciding_on(prompts):
            after = observe(model, tok, asked, **options)
    rows = [
        (prompt, _named(experts, weights), old.generated, new.generated)
        for prompt, weights, (old,), (new,) in zip(arguments.prompt, alphas, before, after, strict=True)
    ]
    header = ("prompt", "experts", "base", "answer")
    print_json(as_records(header, rows)) if arguments.json else print(table(header, rows))
    return 0


def _chosen(arguments: argparse.Namespace) -> tuple[list[Expert], Dispatcher]:
    """The experts and what chooses among them."""
    from easyedit_ice.experts import FixedAlphas, LabelDispatcher, Library, Wording
    from easyedit_ice.experts.dispatch_prompt import TEMPLATE

    library = Library(arguments.folder)
    if (arguments.strategy == "classifier") != (arguments.classifier is not None):
        raise ExpertError("--strategy classifier goes with --classifier NAME, the expert that chooses; give both")
    classifier = None if arguments.classifier is None else library.expert(arguments.classifier)
    experts = library.load(arguments.use or [name for name in library.names() if name != arguments.classifier])
    if not experts:
        raise ExpertError(
            f"{arguments.folder} has no experts to ask; train some with `easyedit-ice internals experts train`"
        )
    if arguments.strategy == "fixed":
        return experts, FixedAlphas(
            {name: _number(value) for name, value in _pairs(arguments.alpha, "--alpha").items()}
        )
    labels = _pairs(arguments.label, "--label")
    wording = Wording(labels=labels, template=arguments.template or TEMPLATE, other=arguments.other)
    return experts, LabelDispatcher(wording, margin=arguments.margin, classifier=classifier)


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    result = {}
    for pair in texts:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ExpertError(f"{option} {pair!r} names no value; write NAME=VALUE")
        result[name] = value
    return result


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ExpertError(f"--alpha has the value {text!r}; expected a number") from error


_HEADER = ("expert", "facts", "projections", "numbers", "KiB", "base")


def _print_experts(experts: list[Expert]) -> None:
    print(table(_HEADER, _rows(experts)) if experts else "there are none")


def _rows(experts: list[Expert]) -> list[tuple[object, ...]]:
    return [
        (
            expert.name,
            len(expert.facts),
            len(expert.modules),
            expert.size.numbers,
            f"{expert.size.bytes / 1024:.1f}",
            expert.fingerprint[:16],
        )
        for expert in experts
    ]


def _named(experts: list[Expert], alphas: list[float]) -> str:
    used = [f"{expert.name} {alpha:.2f}" for expert, alpha in zip(experts, alphas, strict=True) if alpha]
    return ", ".join(used) or "base"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {entry}" for name, entry in value.items()) or "none"
    return ", ".join(value) if isinstance(value, list) else str("all" if value is None else value)
