"""What came of an edit, as HTML that reads on a phone as well; all text is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from easyedit_ice.ui.workbench import Trial, TwoAnswers
from easyedit_ice.verdict.verdict import MOST_MOVED, FactVerdict, Verdict

_GOOD, _FAIR, _BAD, _PLAIN = "good", "fair", "bad", "plain"
_HALF = 0.5
_LOST = 0.05
"""Share of likeliest words from which a reader is told to look."""
_MARKS = {_GOOD: "✓", _BAD: "✗", _FAIR: "!", _PLAIN: ""}


def said(text: str, kind: str = _PLAIN) -> str:
    """A sentence in a box.

    Args:
        text: plain.
        kind: ``good``, ``fair``, ``bad`` or ``plain``.
    """
    return f"<div class='ice-said ice-{kind}' role='status'>{escape(text)}</div>" if text else ""


def trial(one: Trial) -> str:
    """An edit: figures, answers before and after, and what to mind."""
    verdict = one.verdict
    about = f"{one.algorithm}, settings: {one.settings.rpartition('/')[2]}, {one.seconds:.1f} s"
    notes = [said(f"{warning[0].upper()}{warning[1:]}.", _FAIR) for warning in verdict.warnings]
    notes += [said(f"Next: {sentence}", _PLAIN) for sentence in verdict.advice]
    return (
        f"<section class='ice-trial'><p class='ice-about'>{escape(about)}</p>{_tiles(verdict)}"
        f"{''.join(notes)}{''.join(map(_answers, verdict.facts))}</section>"
    )


def trials(several: Sequence[Trial]) -> str:
    """Edits side by side, or one below the other where there is little room."""
    columns = "".join(f"<div><h3>{escape(one.algorithm)}</h3>{trial(one)}</div>" for one in several)
    return f"<div class='ice-beside'><div class='ice-columns'>{columns}</div></div>"


def answered(answers: Sequence[TwoAnswers]) -> str:
    """What the model writes without its edits and with them."""
    rows = [(one.prompt, one.without, one.within, "", _PLAIN) for one in answers]
    return f"<div class='ice-answers'>{_table('', ('asked', 'without edits', 'with edits', ''), rows)}</div>"


def _tiles(verdict: Verdict) -> str:
    return f"<div class='ice-tiles'>{''.join(_tile(*one) for one in _figures(verdict))}</div>"


def _tile(name: str, value: str, kind: str) -> str:
    mark = f"<span aria-hidden='true'>{_MARKS[kind]}</span> " if _MARKS[kind] else ""
    return f"<div class='ice-tile ice-{kind}'><b>{mark}{escape(value)}</b><span>{escape(name)}</span></div>"


def _figures(verdict: Verdict) -> Iterator[tuple[str, str, str]]:
    """Name, value and kind of each tile."""
    yield "the fact", "written" if verdict.took else "NOT written", _GOOD if verdict.took else _BAD
    wordings = [wording for wording in verdict.wordings if not wording.kind.startswith("portability")]
    if wordings:
        held = sum(wording.written for wording in wordings)
        kind = _GOOD if held == len(wordings) else _FAIR if held / len(wordings) >= _HALF else _BAD
        yield "other wordings hold", f"{held} of {len(wordings)}", kind
    if verdict.neighbours:
        share = verdict.moved / len(verdict.neighbours)
        kind = _GOOD if not share else _FAIR if share <= MOST_MOVED else _BAD
        yield "neighbours moved", f"{verdict.moved} of {len(verdict.neighbours)}", kind
    if verdict.drift is not None:
        lost = 1 - verdict.drift.kept
        over = verdict.most_drift is not None and not verdict.drift.kl <= verdict.most_drift
        yield "of general text lost", f"{lost:.0%}", _BAD if over else _FAIR if lost > _LOST else _GOOD


def _answers(fact: FactVerdict) -> str:
    written = ("written", _GOOD) if fact.written else ("NOT written", _BAD)
    asked = [(fact.prompt, fact.before, fact.after, *written)]
    for wording in sorted(fact.wordings, key=lambda wording: wording.kind == "opening"):
        held = ("holds", _GOOD) if wording.written else ("does not hold", _FAIR)
        asked.append((wording.prompt, wording.before or "", wording.after or "", *held))
    neighbours = [
        (one.prompt, one.before, one.after, *(("moved", _BAD) if one.moved else ("kept", _GOOD)))
        for one in sorted(fact.neighbours, key=lambda one: not one.moved)
    ]
    header = ("asked", "before", "after", "")
    beside = _table("Neighbours, which must stay", header, neighbours) if neighbours else ""
    return _table("The fact, in several wordings", header, asked) + beside


def _table(caption: str, header: Sequence[str], rows: Sequence[tuple[str, str, str, str, str]]) -> str:
    """Rows of prompt, two answers, verdict and kind; where there is little room each is a card."""
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in header)
    body = "".join(
        f"<tr><td class='ice-asked'>{escape(prompt)}</td>{_cell(header[1], old)}{_cell(header[2], new)}"
        f"<td class='ice-mark ice-{kind}'>{escape(f'{_MARKS[kind]} {verdict}'.strip())}</td></tr>"
        for prompt, old, new, verdict, kind in rows
    )
    top = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table class='ice-table'>{top}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(name: str, text: str) -> str:
    return f"<td data-name='{escape(name)}'>{escape(text)}</td>"


STYLE = """
.ice-said { border-left: 4px solid var(--ice, #8a8f98); padding: .5rem .75rem; margin: .5rem 0; border-radius: 4px;
  background: color-mix(in srgb, var(--ice, #8a8f98) 10%, transparent); overflow-wrap: anywhere; }
.ice-good { --ice: #16803c; } .ice-fair { --ice: #a16207; } .ice-bad { --ice: #c02626; }
.dark .ice-good { --ice: #4ade80; } .dark .ice-fair { --ice: #facc15; } .dark .ice-bad { --ice: #f87171; }
.ice-about { opacity: .75; margin: .25rem 0 .5rem; }
.ice-trial, .ice-beside, .ice-answers { container-type: inline-size; }
.ice-tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(0, 1fr)); grid-auto-flow: column;
  gap: .5rem; margin: .5rem 0; }
.ice-tile { border: 1px solid color-mix(in srgb, var(--ice, #8a8f98) 45%, transparent); border-radius: 8px;
  padding: .5rem .75rem; display: flex; flex-direction: column; }
.ice-tile b, .ice-tile b * { font-size: 1.25rem; color: var(--ice, inherit) !important; }
.ice-tile > span { opacity: .8; font-size: .9rem; }
.ice-table { width: 100%; border-collapse: collapse; margin: 1rem 0 !important; border: 0 !important; }
.ice-table tr { border: 0 !important; }
.ice-table caption { text-align: left; font-weight: 600; padding: .25rem 0; caption-side: top; }
.ice-table th, .ice-table td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0 !important;
  border: 0 !important; border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent) !important;
  overflow-wrap: break-word; }
.ice-table th { font-weight: 500; opacity: .75; } .ice-asked { width: 45%; }
.ice-table td:nth-child(3) { font-weight: 600; }
.ice-table td.ice-mark { color: var(--ice, inherit); white-space: nowrap; }
.ice-columns { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 2rem; }
.ice-columns h3 { margin: .5rem 0 0; }
@container (max-width: 40rem) {
  .ice-columns { grid-template-columns: minmax(0, 1fr); gap: .5rem; }
}
@container (max-width: 34rem) {
  .ice-tiles { grid-template-columns: 1fr 1fr; grid-auto-flow: row; }
  .ice-table thead { display: none; }
  .ice-table tr { display: grid; grid-template-columns: 1fr 1fr; padding: .4rem 0 !important;
    border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent) !important; }
  .ice-table td { border-bottom: 0 !important; padding: .1rem .5rem .1rem 0 !important; width: auto; }
  .ice-table td:empty { display: none; }
  .ice-table td.ice-asked, .ice-table td.ice-mark { grid-column: 1 / -1; }
  .ice-table td[data-name]::before { content: attr(data-name) ": "; opacity: .7; font-weight: 400; }
}
"""
"""Of all that this module makes; colours change with the page's light or dark mode."""
