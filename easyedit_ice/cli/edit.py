"""Edit one fact of any model and see its answers before and after."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from easyedit_ice.cli.console import quiet, table, whole_number
from easyedit_ice.cli.settings import MODEL_HELP, add_settings, settings_for
from easyedit_ice.models.source import GGUF_TYPES
from easyedit_ice.registry import ALGORITHMS
from easyedit_ice.requests import EditRequest

if TYPE_CHECKING:
    from easyedit_ice.closed_form.stated import Stated

USUAL, WITHOUT_SUBJECT = "FastMEMIT", "GoRA"
"""What writes known facts into real models with the least done to the rest (docs/real_models.md)."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--model", help=MODEL_HELP)
    parser.add_argument("--prompt", required=True, help="text the target shall follow")
    parser.add_argument("--target", required=True, help="what shall follow the prompt")
    parser.add_argument("--subject", help="what the fact is about, as spelt in the prompt")
    parser.add_argument("--ask", action="append", default=[], metavar="PROMPT", help="another question to show")
    parser.add_argument(
        "--algorithm",
        help=f"one of {', '.join(ALGORITHMS)}; by default {USUAL}, or {WITHOUT_SUBJECT} where no subject is given",
    )
    add_settings(parser)
    parser.add_argument(
        "--chat", action="store_true", help="edit and ask in the user's turn of the model's chat template"
    )
    parser.add_argument("--save", metavar="FOLDER", help="save the update there")
    parser.add_argument("--save-model", metavar="FOLDER", help="save the edited model there")
    parser.add_argument(
        "--save-gguf", metavar="FILE", help="save the edited model as GGUF; --model must be GGUF itself"
    )
    parser.add_argument(
        "--gguf-type", choices=GGUF_TYPES, default="F16", type=str.upper, help="type of the matrices that are written"
    )
    parser.add_argument("--gguf-whole", action="store_true", help="write all of them so, not only those that changed")
    parser.add_argument(
        "--max-new-tokens",
        type=whole_number(1, 512),
        default=16,
        metavar="N",
        help="most tokens of an answer shown, 1 to 512",
    )


def run(arguments: argparse.Namespace) -> int:
    """Edit, and print what the model answers."""
    from easyedit_ice import world
    from easyedit_ice.apply import solve
    from easyedit_ice.asking import asking_for
    from easyedit_ice.closed_form.stated import stated
    from easyedit_ice.evaluation import Question, observe
    from easyedit_ice.loading import load_model
    from easyedit_ice.models.export import base_for, save_gguf

    usual = USUAL if arguments.subject else WITHOUT_SUBJECT
    spec = ALGORITHMS[arguments.algorithm or usual]
    name = arguments.model or str(world.model_path())
    hparams = settings_for(spec.hparams_class, name, arguments)
    hparams = hparams.replace(chat=hparams.chat or arguments.chat)
    fact = {"prompt": arguments.prompt, "target_new": arguments.target, "subject": arguments.subject}
    facts = EditRequest.prepare([fact], spec.needs_subject)
    if arguments.save_gguf:
        base_for(name, arguments.save_gguf)
    asked = [Question("shown", prompt, arguments.target, ()) for prompt in (arguments.prompt, *arguments.ask)]
    with quiet(progress=sys.stderr.isatty()):
        model, tok = load_model(hparams)
        asking = asking_for(tok, hparams.chat)
        (before,) = observe(model, tok, [asked], asking=asking, max_new_tokens=arguments.max_new_tokens)
        started = time.perf_counter()
        update = solve(model, tok, facts, hparams)
        seconds = time.perf_counter() - started
        update.commit(model)
        request = replace(facts[0], asking=asking)
        took = stated(model, tok, [request])
        (after,) = observe(model, tok, [asked], asking=asking, max_new_tokens=arguments.max_new_tokens)
    rows = [(q.prompt, old.generated, new.generated) for q, old, new in zip(asked, before, after, strict=True)]
    print(table(("prompt", "before", "after"), rows))
    changed = "1 weight" if len(update.deltas) == 1 else f"{len(update.deltas)} weights"
    print(f"\n{spec.name} changed {changed} in {seconds:.1f} s.")
    print(_written(spec.name, request, took))
    print(_moved(update.info["drift"]))
    if arguments.save:
        update.save(arguments.save)
        print(f"The update is saved in {arguments.save}")
    if arguments.save_model:
        with quiet():
            update.to_hf(model, tok, arguments.save_model)
        print(f"The edited model is saved in {arguments.save_model}")
    if arguments.save_gguf:
        with quiet():
            written = save_gguf(model, name, arguments.save_gguf, dtype=arguments.gguf_type, whole=arguments.gguf_whole)
        print(
            f"The edited model is saved in {arguments.save_gguf}, {len(written)} weights of it as {arguments.gguf_type}"
        )
    return 0


def _written(algorithm: str, request: EditRequest, took: Stated) -> str:
    """Whether the edited model states the fact."""
    sure = f"{took.nll[0]:.2f} nats a token"
    if took.likeliest[0]:
        return f"The fact is written: {request.target_new.strip()!r} is what most likely follows ({sure})."
    return (
        f"The fact is NOT written: something else than {request.target_new.strip()!r} most likely follows ({sure}); "
        f"try another algorithm than {algorithm}, or other settings."
    )


def _moved(drift: Mapping[str, float] | None) -> str:
    """What the edit does to statements it is not about."""
    if drift is None:
        return "What it does to other statements is not known: the model can read none of the plain ones."
    return (
        f"Plain statements that it is not about move by {drift['kl']:.2g} nats a token; {drift['kept']:.0%} of their "
        "likeliest words stay."
    )
