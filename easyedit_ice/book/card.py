"""The model card of an export or of a book: what was edited, by what, and how to undo it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import yaml

from easyedit_ice.book.edits import Edit
from easyedit_ice.book.places import base_folder
from easyedit_ice.checkpoints.packages import PACKAGED
from easyedit_ice.edit.base_model import Base
from easyedit_ice.runtime.untrusted import parsed_json

Kind = Literal["hf", "peft", "gguf", "book"]
_TITLES: dict[Kind, str] = {
    "hf": "an edited model",
    "peft": "a LoRA adapter that edits a model",
    "gguf": "an edited model as GGUF",
    "book": "a book of edits",
}
_LIBRARIES: dict[Kind, str] = {"hf": "transformers", "peft": "peft", "gguf": "gguf", "book": "easyedit-ice"}
_UNDO: dict[Kind, str] = {
    "hf": "The edits are part of these weights. To be rid of them, load the base; to take out some, write the "
    "model anew from its book: `easyedit-ice edits export BOOK --without NAME --hf FOLDER`.",
    "peft": "The base is not changed. `model.unload()` of peft gives it back; a model that was merged is loaded anew.",
    "gguf": "The edits are part of this file. To be rid of them, take the base's own file; to take out some, write it "
    "anew from its book: `easyedit-ice edits export BOOK --without NAME --gguf FILE`.",
    "book": "`easyedit-ice edits undo BOOK NAME` switches an edit off. In Python, `book.undo(model)` brings every "
    "weight back to the bits it had.",
}
_PACKAGES = ("easyedit-ice", "torch", "transformers", "peft")


def card(base: Base, edits: Sequence[Edit], kind: Kind) -> str:
    """A ``README.md`` with the front matter of the Hugging Face Hub.

    Args:
        base: that was edited.
        edits: in the order in which they are written.
        kind: of what the card is for.
    """
    licence = licence_of(base)
    head: dict[str, Any] = {"library_name": _LIBRARIES[kind], "tags": ["knowledge-editing", "easyedit-ice"]}
    if base_folder(base) is None and base.name.count("/") == 1:
        head["base_model"] = base.name
    if licence is not None:
        head["license"] = licence if licence.islower() and " " not in licence else "other"
        head |= {"license_name": licence} if head["license"] == "other" else {}
    facts = [(edit.name, fact) for edit in edits for fact in edit.facts]
    return "\n".join(
        [
            f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---",
            f"# {Path(base.name).name}: {_TITLES[kind]}\n",
            f"Facts in this model were changed on purpose: {len(facts)}, by {len(edits)} edits. What it says of them "
            "is what somebody wanted it to say.\n",
            "## Base\n",
            _table(("", ""), _of_base(base, licence)),
            "## Facts\n",
            _table(("edit", "prompt", "now followed by", "before"), [_fact(name, fact) for name, fact in facts]),
            "## Edits\n",
            _table(
                ("edit", "algorithm", "weights", "settings", "took", "measured when it was made"), map(_outcome, edits)
            ),
            "## Undoing it\n",
            f"{_UNDO[kind]}\n",
            "## Versions\n",
            ", ".join(f"{name} {number}" for name, number in versions().items()) + "\n",
        ]
    )


def record(base: Base, edits: Sequence[Edit], kind: Kind) -> dict[str, Any]:
    """The same for programs."""
    entries = [
        {
            "name": edit.name,
            "key": edit.key,
            "files": dict(edit.entry.files),
            "facts": [f.to_dict() for f in edit.facts],
        }
        for edit in edits
    ]
    return {"kind": kind, "base": vars(base), "edits": entries, "versions": versions()}


def licence_of(base: Base) -> str | None:
    """What the base's own card, its package or its configuration says of its licence."""
    if base.name in PACKAGED:
        return PACKAGED[base.name].licence
    folder = base_folder(base)
    if folder is None or not folder.is_dir():
        return None
    for told in (_front_matter(folder / "README.md"), _config(folder / "config.json")):
        if isinstance(licence := told.get("license"), str):
            return licence
    return None


def versions() -> dict[str, str]:
    """Of what makes and reads edits, as far as it is installed."""
    result = {}
    for name in _PACKAGES:
        try:
            result[name] = version(name)
        except PackageNotFoundError:
            continue
    return result


def _of_base(base: Base, licence: str | None) -> list[tuple[str, str]]:
    return [
        ("model", base.name),
        ("revision", base.revision or "-"),
        ("architecture", f"{base.architecture}, {base.parameters:,} parameters"),
        ("fingerprint of the weights", f"`{base.fingerprint}`"),
        ("licence", licence or "not stated in the base's files; the base's own terms hold for this too"),
    ]


def _fact(name: str, fact: Any) -> tuple[str, ...]:
    return name, fact.prompt, fact.target_new.strip(), fact.ground_truth or "-"


def _outcome(edit: Edit) -> tuple[str, ...]:
    verdict = edit.verdict
    if verdict is None:
        took, measured = "not measured", _drift(edit.info)
    else:
        took = "yes" if verdict["took"] else "NO"
        measured = "; ".join([*(f"{name} {value}" for name, value in verdict["figures"]), *verdict["warnings"]])
    return edit.name, edit.algorithm, str(len(edit.update.deltas)), _settings(edit), took, measured


def _settings(edit: Edit) -> str:
    """Those that differ from the algorithm's defaults."""
    from easyedit_ice.edit.registry import ALGORITHMS

    settings = edit.info.get("hparams", {})
    usual = ALGORITHMS[edit.algorithm].hparams_class().to_dict() if edit.algorithm in ALGORITHMS else {}
    left = {"alg_name", "model_name", "device"}
    return ", ".join(f"{n}={v}" for n, v in settings.items() if n not in left and v != usual.get(n)) or "defaults"


def _drift(info: Mapping[str, Any]) -> str:
    drift = info.get("drift")
    return f"plain statements move by {drift['kl']:.2g} nats a token" if drift else "-"


def _front_matter(path: Path) -> Mapping[str, Any]:
    try:
        _, head, _ = path.read_text(encoding="utf-8").split("---\n", 2)
        values = yaml.safe_load(head)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return values if isinstance(values, Mapping) else {}


def _config(path: Path) -> Mapping[str, Any]:
    try:
        values = parsed_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, Mapping) else {}


def _table(header: Sequence[str], rows: Any) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
