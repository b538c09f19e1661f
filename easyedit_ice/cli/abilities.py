"""Score what a model can do besides its edits, in tasks of lm-eval: before them, and with them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from easyedit_ice.cli.command_settings import add_threads
from easyedit_ice.cli.console import table, whole_number, working
from easyedit_ice.cli.json_output import add_json, print_json
from easyedit_ice.runtime.threads import threads

if TYPE_CHECKING:
    from easyedit_ice.evaluation.abilities import Ability, Tasks

    Scores = Sequence[Ability]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "edited",
        nargs="?",
        type=Path,
        help="an edit book, or a folder of a model, an update, an adapter or a saved run",
    )
    parser.add_argument(
        "--tasks",
        nargs="+",
        metavar="TASK",
        help="tasks of lm-eval by name, or YAML files of some; factworld_choice, factworld_two_hops and factworld_text "
        "need no download",
    )
    parser.add_argument("--model", help="the unedited model; of a book and an update by default the one they name")
    parser.add_argument("--other-base", action="store_true", help="allow edits that were made on another model")
    parser.add_argument("--limit", type=whole_number(1, 10**9), metavar="N", help="how many documents of each task")
    parser.add_argument("--batch-size", type=whole_number(1, 10**4), default=8, metavar="N", help="texts at a time")
    parser.add_argument("--chat", action="store_true", help="ask in the model's chat template")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, or a GPU's number")
    parser.add_argument("--dtype", default="auto", help="type of the weights; auto keeps the checkpoint's")
    add_json(parser)
    parser.add_argument(
        "--write-tasks", type=Path, metavar="FOLDER", help="write the embedded world's tasks there, for lm_eval itself"
    )
    add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    """Score, and print what was found."""
    from easyedit_ice.errors import RunConfigError
    from easyedit_ice.evaluation.abilities import Tasks, write_world_tasks

    if arguments.write_tasks is not None:
        print(f"written: {write_world_tasks(arguments.write_tasks)}; lm_eval finds them by --include_path")
        return 0
    if not arguments.tasks or (arguments.edited is None and arguments.model is None):
        raise RunConfigError(
            "give a model and what to score it in, as in: easyedit-ice abilities runs/stream --model gpt2-factworld "
            "--tasks factworld_choice"
        )
    with threads(arguments.threads), working(not arguments.json):
        tasks = Tasks(arguments.tasks, arguments.limit, chat=arguments.chat, batch_size=arguments.batch_size)
        before, after = _scores(arguments, tasks)
    if arguments.json:
        states = {"unedited": before, "edited": after}
        print_json({who: None if state is None else [one.to_dict() for one in state] for who, state in states.items()})
    else:
        _show(before, after)
    return 0


def _scores(arguments: argparse.Namespace, tasks: Tasks) -> tuple[Scores | None, Scores | None]:
    """Of the unedited model and of the edited one, where there is one."""
    from easyedit_ice.bench.running.checkpoint import load_checkpoint
    from easyedit_ice.book import EditBook
    from easyedit_ice.book.edit_manifest import MANIFEST
    from easyedit_ice.checkpoints.loading import load_model
    from easyedit_ice.edit.hparams import EditHyperParams

    def unedited(name: str) -> Scores:
        loading = EditHyperParams(model_name=name, device=arguments.device, dtype=arguments.dtype)
        return tasks.measure(*load_model(loading))

    if arguments.edited is None:
        return unedited(arguments.model), None
    if (arguments.edited / MANIFEST).is_file():
        book = EditBook.open(arguments.edited)
        name = arguments.model or book.base.name
        model, tok = load_model(EditHyperParams(model_name=name, device=arguments.device, dtype=arguments.dtype))
        before = tasks.measure(model, tok)
        with book.edited(model, check_base=not arguments.other_base):
            return before, tasks.measure(model, tok)
    options = {"check_base": not arguments.other_base, "device": arguments.device, "dtype": arguments.dtype}
    edited = load_checkpoint(arguments.edited, arguments.model, **options)
    after = tasks.measure(edited.model, edited.tok)
    return (None if arguments.model is None else unedited(arguments.model)), after


def _show(before: Scores | None, after: Scores | None) -> None:
    from easyedit_ice.bench.report.ability_changes import cells, changes

    if before is not None and after is not None:
        rows = [(_named(change.before), *cells(change)) for change in changes(before, [after])]
        print(table(("task", "unedited", "edited", "difference", "samples"), rows))
        return
    first = before if before is not None else after or ()
    print(table(("task", "score", "samples"), [(_named(one), f"{one.value:.4g}", len(one.samples)) for one in first]))


def _named(ability: Ability) -> str:
    return f"{ability.name} {'↑' if ability.higher_is_better else '↓'}"
