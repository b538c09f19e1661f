"""Folders of runs as the runner leaves them: real facts of the embedded world, made-up answers of a given quality."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from easyedit_ice import factworld
from easyedit_ice.data import read_records, to_requests
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.evaluation import Question, questions

Line = dict[str, Any]
GOOD = {"rewrite": 1.0, "rephrase": 0.98, "portability": 0.85, "locality": 0.96}
FAIR = {"rewrite": 0.9, "rephrase": 0.8, "portability": 0.6, "locality": 0.7}
POOR = {"rewrite": 0.75, "rephrase": 0.7, "portability": 0.3, "locality": 0.9}
UNEDITED = {"rewrite": 0.02, "rephrase": 0.02, "portability": 0.05, "locality": 1.0}
SECONDS = {"ICE-LoRA": 8.3, "ROME": 1.1, "FT": 0.4, "LoRA-BF": 0.2}


@cache
def facts(count: int) -> tuple[tuple[dict[str, Any], tuple[Question, ...]], ...]:
    """Requests of the embedded world with their questions."""
    records = read_records(factworld.records("test")[:count])
    return tuple(
        (request, questions(EditRequest.from_dict(record)))
        for record, request in zip(records, to_requests(records), strict=True)
    )


def write_run(
    folder: Path,
    label: str = "ICE-LoRA",
    quality: Mapping[str, float] = GOOD,
    *,
    mode: str = "single",
    size: int = 12,
    done: int | None = None,
    failed: Sequence[int] = (),
    retain_every: int = 0,
    fade: float = 0.0,
    untouched: int = 0,
    **manifest: Any,
) -> Path:
    """Write a run.

    Args:
        folder: of the run.
        label: the method.
        quality: share of right answers by section.
        mode: ``single``, ``batch`` or ``sequential``.
        size: how many facts the run has.
        done: how many it got to; all by default.
        failed: positions the method raised on.
        retain_every: as in the manifest.
        fade: how much worse every share gets over a stream.
        untouched: facts that are only asked.
        manifest: entries to replace.
    """
    done = size if done is None else done
    chosen = facts(size + untouched)
    edited, beside = chosen[:size], chosen[size:]
    written = [position for position in range(done) if position not in failed]
    lines: list[Line] = []
    for position in range(size if mode == "sequential" else done):
        lines.append(_line("before", position, 0, edited[position], label, UNEDITED))
    if mode == "sequential":
        lines += [_line("untouched", position, 0, fact, label, UNEDITED) for position, fact in enumerate(beside)]
        lines.append({"phase": "drift", "position": 0, "step": 0, "perplexity": 12.0, "kl": 0.0})
    for position in range(done):
        step = position + 1 if mode == "sequential" else 1
        if position in failed:
            error = f"SubjectNotFoundError: subject {position} does not occur"
            lines.append({"phase": "failed", "position": position, "step": step, "error": error})
        else:
            lines.append(_edit(position, step, edited[position], label, quality))
        if mode == "sequential" and (step == size or (retain_every and step % retain_every == 0)):
            left = {section: share * (1 - fade * step / size) for section, share in quality.items()}
            again = [p for p in written if p < step]
            lines += [_line("retained", p, step, edited[p], label, left) for p in again]
            kept = UNEDITED | {"locality": left["locality"]}
            lines += [_line("untouched", p, step, fact, label, kept) for p, fact in enumerate(beside)]
            lines.append({"phase": "drift", "position": 0, "step": step, "perplexity": 12 + step * fade, "kl": fade})
    folder.mkdir(parents=True)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "ledger.jsonl").write_text(text, encoding="utf-8")
    whole = _manifest(label, mode, size, retain_every, untouched) | manifest
    (folder / "manifest.json").write_text(json.dumps(whole, indent=1), encoding="utf-8")
    return folder


def rewrite_lines(folder: Path, change: Any) -> None:
    """Pass every line of a ledger through a function."""
    path = folder / "ledger.jsonl"
    lines = [change(json.loads(text)) for text in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def _line(phase: str, position: int, step: int, fact: Any, label: str, quality: Mapping[str, float]) -> Line:
    request, asked = fact
    case = {key: request[key] for key in ("prompt", "subject", "target_new", "ground_truth")} | {"index": position}
    answers = [_answer(question, quality, f"{label} {phase} {position} {step} {n}") for n, question in enumerate(asked)]
    scores: dict[str, dict[str, list[float]]] = {"teacher_forced": {}, "generated": {}, "probability": {}}
    for question, answer in zip(asked, answers, strict=True):
        keeps = question.measure.startswith("locality")
        if not (keeps and step == 0):
            scores["teacher_forced"].setdefault(question.measure, []).append(answer["token_accuracy"])
            scores["generated"].setdefault(question.measure, []).append(float(answer["right"]))
        if keeps or question.measure in ("rewrite", "rephrase"):
            wins = (answer["p_new"] > answer["p_old"]) != keeps
            scores["probability"].setdefault(question.measure, []).append(float(wins))
    means = {
        style: {measure: sum(own) / len(own) for measure, own in measures.items()} for style, measures in scores.items()
    }
    place = {"phase": phase, "position": position, "step": step, "case": case}
    return place | {"scores": means, "fluency": 5.8, "answers": answers}


def _edit(position: int, step: int, fact: Any, label: str, quality: Mapping[str, float]) -> Line:
    seconds, share = SECONDS.get(label, 1.0) * (1 + position % 3 / 10), step**0.5
    return _line("immediate", position, step, fact, label, quality) | {
        "update": {"norm": {"h.0.weight": [0.3 * share, 0.01 * share], "h.1.weight": [0.4 * share, 0.02]}},
        "cost": {"edit_seconds": seconds, "evaluation_seconds": 0.2, "peak_mib": 90.0 + position},
    }


def _answer(question: Question, quality: Mapping[str, float], seed: str) -> dict[str, Any]:
    section = question.measure.partition(".")[0]
    right = random.Random(seed).random() < quality[section]
    new_wins = right != (section == "locality")
    return {
        "measure": question.measure,
        "prompt": question.prompt,
        "answer": question.answer,
        "generated": question.answer if right else f"{question.answer[::-1]}",
        "right": right,
        "token_accuracy": 1.0 if right else 0.5,
        "p_new": -0.1 if new_wins else -4.0,
        "p_old": -4.0 if new_wins else -0.1,
    }


def _manifest(label: str, mode: str, size: int, retain_every: int, untouched: int) -> dict[str, Any]:
    return {
        "algorithm": label,
        "kind": "ours" if label in ("ICE-LoRA", "LoRA-BF") else "easyedit",
        "label": label,
        "mode": {"name": mode, "batch_size": 10 if mode == "batch" else 1, "retain_every": retain_every},
        "model": {"name": "gpt2-factworld", "fingerprint": "ab" * 32, "dtype": "float32", "device": "cpu"},
        "data": {
            "source": "factworld/test", "hash": f"{size:02d}" * 32, "facts": size, "untouched": untouched, "start": 0,
        },
        "evaluation": {"scorer": "batched", "generate": True, "max_new_tokens": 16, "answers": True},
        "hparams": {"lr": 0.0005},
        "seed": 0,
        "versions": {"easyedit_ice": "0.1.0", "torch": "2.13.0"},
        "host": "EasyEdit release 0.0.1.dev0",
        "git": None,
        "threads": 1,
        "command": f"easyedit-ice run algorithm={label}",
        "started": "2026-11-21T09:10:00+00:00",
    }  # fmt: skip
