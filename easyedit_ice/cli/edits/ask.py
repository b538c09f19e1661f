"""``ask``: questions to the base, and to the base with edits in it, side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from easyedit_ice.cli.console import table, whole_number, working
from easyedit_ice.cli.edits.shared import Actions, action, add_model, add_subset, checks, load_base, say_kept, subset
from easyedit_ice.cli.json_output import add_json, as_records, print_json


def configure(actions: Actions) -> None:
    """Declare the arguments."""
    ask = action(actions, "ask", "ask the model without edits and with them", run)
    ask.add_argument("book", type=Path)
    ask.add_argument("--ask", action="append", default=[], metavar="PROMPT", help="by default what the edits are about")
    add_subset(ask)
    add_model(ask)
    ask.add_argument("--chat", action="store_true", help="ask in the user's turn of the model's chat template")
    ask.add_argument("--max-new-tokens", type=whole_number(1, 512), default=16, metavar="N", help="of an answer")
    add_json(ask)


def run(arguments: argparse.Namespace) -> int:
    """Ask, and print both answers."""
    from easyedit_ice.book import EditBook
    from easyedit_ice.evaluation import Question, observe
    from easyedit_ice.text.chat import asking_for

    book = EditBook.open(arguments.book)
    names = subset(book, arguments)
    usual = (fact.prompt for edit in book.edits(names) for fact in edit.facts)
    prompts = arguments.ask or list(dict.fromkeys(usual))
    asked = [[Question("shown", prompt, "", ()) for prompt in prompts]]
    model, tok = load_base(book, arguments, shown=not arguments.json)
    options = {"asking": asking_for(tok, arguments.chat), "max_new_tokens": arguments.max_new_tokens}
    with working(not arguments.json), book.edited(model, names, **checks(arguments)):
        (after,) = observe(model, tok, asked, **options)
        with book.edited(model, (), check_base=False):
            (before,) = observe(model, tok, asked, **options)
    rows = [(p, old.generated, new.generated) for p, old, new in zip(prompts, before, after, strict=True)]
    if arguments.json:
        print_json({"edits": names, "answers": as_records(("prompt", "before", "after"), rows)})
        return 0
    print(table(("prompt", "before", f"with {', '.join(names) or 'no edit'}"), rows))
    say_kept(book, names)
    return 0
