"""The page, laid out with Gradio. It asks nothing of the network: fonts are the system's, and nothing is counted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import gradio as gr

from easyedit_ice.checkpoints.names import NAMES
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.ui import shown, words
from easyedit_ice.ui.desk import Desk, Seen
from easyedit_ice.ui.subject import subject_in
from easyedit_ice.ui.typed_fact import TypedFact

_COUNTED = re.compile(r"(\d+) of (\d+)")
_SANS = ["system-ui", "sans-serif"]
THEME = gr.themes.Soft(
    primary_hue="blue", neutral_hue="slate", font=_SANS, font_mono=["ui-monospace", "monospace"]
).set(
    block_title_background_fill="transparent",
    block_title_padding="0",
    block_title_text_color="*body_text_color",
    block_border_width="1px",
    input_border_width="1px",
    button_secondary_border_color="*neutral_300",
    button_secondary_border_color_dark="*neutral_600",
    checkbox_border_color="*neutral_400",
    checkbox_label_border_width="1px",
)
HEAD = f"""<style>{shown.STYLE}
.gradio-container {{ max-width: 60rem !important; margin: auto; }}
footer {{ display: none !important; }}
#load, #keep {{ align-self: end; }}
</style>"""
"""Style sheets go here, since Gradio takes what it does not know out of those it is given as such."""


def page(desk: Desk, book: str) -> gr.Blocks:
    """The page for a desk.

    Args:
        desk: that all tabs share.
        book: folder that edits are kept in, unless another is typed.
    """
    with gr.Blocks(title=words.TITLE, analytics_enabled=False) as blocks:
        trials, listed = gr.State(()), gr.State(())
        gr.Markdown(f"# {words.TITLE}\n{words.INTRODUCTION}")
        with gr.Row(equal_height=False):
            model = gr.Dropdown(
                list(dict.fromkeys([desk.bench.name, *NAMES])),
                value=desk.bench.name,
                label=words.MODEL,
                info=words.MODEL_HELP,
                allow_custom_value=True,
                scale=4,
                elem_id="model",
            )
            load = gr.Button(words.LOAD, scale=1, elem_id="load")
        with gr.Group():
            prompt = gr.Textbox(label=words.PROMPT, placeholder=words.PROMPT_SHOWN, lines=1, elem_id="prompt")
            with gr.Row():
                target = gr.Textbox(label=words.TARGET, placeholder=words.TARGET_SHOWN, min_width=260, elem_id="target")
                subject = gr.Textbox(
                    label=words.SUBJECT,
                    placeholder=words.SUBJECT_SHOWN,
                    info=words.SUBJECT_HELP,
                    min_width=260,
                    elem_id="subject",
                )
            wordings = gr.Textbox(
                label=words.WORDINGS, placeholder=words.WORDINGS_SHOWN, lines=2, max_lines=6, elem_id="wordings"
            )
        fact = [prompt, target, subject, wordings]
        method = gr.Dropdown(
            [(words.RECOMMENDED, ""), *_methods()], value="", label=words.METHOD, filterable=False, elem_id="method"
        )
        with gr.Row():
            edit = gr.Button(words.EDIT, variant="primary", elem_id="edit")
            example = gr.Button(words.EXAMPLE, elem_id="example")
        with gr.Accordion(words.COMPARE_TWO, open=False):
            gr.Markdown(words.COMPARE_HELP)
            with gr.Row():
                names = list(ALGORITHMS)
                left = gr.Dropdown(names, value="FastMEMIT", label=words.FIRST, filterable=False, elem_id="left")
                right = gr.Dropdown(names, value="LoRA-BF", label=words.SECOND, filterable=False, elem_id="right")
            compare = gr.Button(words.COMPARE, elem_id="compare")
        message = gr.HTML(elem_id="message", padding=False)
        body = gr.HTML(elem_id="body", padding=False)
        anyway = gr.Button(words.ANYWAY, visible=False, elem_id="anyway")
        with gr.Row():
            first = gr.Button(words.TAKE_LEFT, visible=False, elem_id="first")
            second = gr.Button(words.TAKE_RIGHT, visible=False, elem_id="second")
        state = gr.HTML(elem_id="state", padding=False)
        within = gr.CheckboxGroup([], label=words.IN_MODEL, info=words.IN_MODEL_HELP, elem_id="within")
        with gr.Row():
            undo = gr.Button(words.UNDO_LAST, elem_id="undo")
            undo_all = gr.Button(words.UNDO_ALL, elem_id="undo-all")
        with gr.Row(equal_height=False):
            folder = gr.Textbox(book, label=words.BOOK, info=words.BOOK_HELP, scale=4, elem_id="folder")
            keep = gr.Button(words.KEEP, scale=1, elem_id="keep")
        with gr.Accordion(words.ASK_MODEL, open=False):
            lines = gr.Textbox(label=words.ASK_LABEL, placeholder=words.ASK_SHOWN, lines=2, elem_id="lines")
            ask = gr.Button(words.ASK, elem_id="ask")
            answers = gr.HTML(elem_id="answers", padding=False)

        def after(view: Seen, *, asked: bool = False) -> dict[Any, Any]:
            """What changes on the page."""
            updates: dict[Any, Any] = {
                message: gr.HTML(view.message),
                state: gr.HTML(desk.state),
                within: gr.CheckboxGroup(desk.choices, value=list(desk.bench.within)),
                listed: desk.bench.within,
            }
            if asked:
                return updates | {answers: gr.HTML(view.body or "")}
            if view.body is not None:
                updates[body] = gr.HTML(view.body)
            if view.body is not None or view.trials:
                updates[trials] = view.trials
                updates[anyway] = gr.Button(visible=len(view.trials) == 1)
                updates |= {side: gr.Button(visible=len(view.trials) > 1) for side in (first, second)}
            return updates

        changed = [message, body, trials, anyway, first, second, state, within, listed, answers]

        def on(button: Any, act: Callable[..., Seen], inputs: list[Any], asked: bool = False) -> None:
            def handler(*values: Any) -> dict[Any, Any]:
                return after(act(*values), asked=asked)

            button(handler, inputs, changed, show_progress_on=[answers if asked else message])

        def make(*typed: str, progress: gr.Progress = gr.Progress()) -> dict[Any, Any]:  # noqa: B008
            return after(desk.edit(TypedFact(*typed[:4]), typed[4] or None, _telling(progress)))

        def make_both(*typed: str, progress: gr.Progress = gr.Progress()) -> dict[Any, Any]:  # noqa: B008
            return after(desk.compare(TypedFact(*typed[:4]), typed[4:], _telling(progress)))

        shown_there: dict[str, Any] = {"show_progress_on": [message], "scroll_to_output": True}
        edit.click(make, [*fact, method], changed, **shown_there)
        compare.click(make_both, [*fact, left, right], changed, **shown_there)
        on(load.click, desk.load_model, [model])
        on(anyway.click, lambda trials: desk.take(trials, 0), [trials])
        on(first.click, lambda trials: desk.take(trials, 0), [trials])
        on(second.click, lambda trials: desk.take(trials, 1), [trials])
        on(within.input, desk.hold, [within, folder, listed])
        on(undo.click, desk.undo_last, [folder, listed])
        on(undo_all.click, lambda place, names: desk.hold((), place, names), [folder, listed])
        on(keep.click, desk.keep, [folder])
        on(ask.click, desk.ask, [lines], asked=True)
        on(blocks.load, Seen, [])
        prompt.change(lambda text: gr.Textbox(placeholder=_placeholder(text)), prompt, subject, show_progress="hidden")
        example.click(lambda: _example(desk), None, fact, show_progress="hidden")
    page: gr.Blocks = blocks
    return page


def _telling(progress: gr.Progress) -> Callable[[str], None]:
    """Shows how far the work has come, from the first moment on."""

    def tell(line: str) -> None:
        counted = _COUNTED.search(line)
        progress(int(counted[1]) / int(counted[2]) if counted else 0, desc=line)

    tell(words.STARTING)
    return tell


def _methods() -> list[tuple[str, str]]:
    return [(f"{spec.name}: {spec.summary}", spec.name) for spec in ALGORITHMS.values()]


def _placeholder(prompt: str) -> str:
    subject = subject_in(prompt)
    return f"{subject} (found in the text)" if subject else words.SUBJECT_SHOWN


def _example(desk: Desk) -> list[str]:
    fact = words.example_for(desk.bench.name)
    return [fact.prompt, fact.target, fact.subject, fact.wordings]
