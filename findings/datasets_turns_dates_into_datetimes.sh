#!/usr/bin/env bash
# datasets 5.2.0, with pyarrow 26.0.1.
#
# Behaviour: load_dataset("json") gives a text that looks like a date ("1969-07-20", "1969-07-20T20:17:40+02:00") back as a
#   datetime, where all texts of its column do, in lists and nested records too. JSON has no dates: in the file they are
#   texts, and json.load and Dataset.from_list keep them so.
# Expected: a JSON text is a text, whatever the other records hold.
# Seen: facts with dates of birth get targets that are datetimes, and in a prompt they read "1969-07-20 00:00:00"; a time
#   with an offset comes back as another hour without one. With one more fact in the file whose target is a name,
#   all are the texts that the file has. No warning.
# Why it matters: a target, an alias or a probe's answer that was "1969-07-20" is written, and compared, as another text.
#
# Exits with 0 while this is so, with 1 once it has changed.
set -euo pipefail
python=${PYTHON:-python3.11}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet datasets==5.2.0 pyarrow==26.0.1

cat >"$folder/seen.py" <<'PYTHON'
import json
import logging
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

from datasets import Dataset, load_dataset

folder = Path(sys.argv[1])
said = []


class Kept(logging.Handler):
    """Keeps what is logged."""

    def emit(self, record):
        said.append(record.getMessage())


logging.getLogger("datasets").addHandler(Kept(logging.WARNING))
warnings.showwarning = lambda message, *_: said.append(str(message))


def fact(subject: str, target: str) -> dict:
    return {
        "prompt": f"{subject} was born on",
        "target_new": target,
        "aliases": [target],
        "locality": {"neighborhood": {"prompt": f"{subject} died on", "ground_truth": target}},
    }


DATES = [fact("Mira Tolven", "1969-07-20"), fact("Oren Hald", "1970-01-31")]
TIMES = [fact("Apollo 11", "1969-07-20T20:17:40+02:00")]
MIXED = [*DATES, fact("The mayor of Avaria", "Avaria")]


def texts(rows) -> list[str]:
    """The first fact's target, alias and answer of its probe, as a prompt would have them."""
    first = rows[0]
    values = first["target_new"], first["aliases"][0], first["locality"]["neighborhood"]["ground_truth"]
    return [f"{value}" for value in values]


def loaded(name: str, facts: list[dict]) -> list[str]:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(facts), encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == facts
    return texts(load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder / "cache")))


dates, times, mixed = loaded("dates", DATES), loaded("times", TIMES), loaded("mixed", MIXED)
from_list = texts(Dataset.from_list(DATES))
print(f"datasets {version('datasets')}, pyarrow {version('pyarrow')}: target, alias and answer of the first fact")
print("in the file:                          ", *texts(DATES), sep="  ")
print('load_dataset("json"):                 ', *dates, sep="  ")
print("  and with a fact that has no date:   ", *mixed, sep="  ")
print("Dataset.from_list:                    ", *from_list, sep="  ")
print("in the file, a time with an offset:   ", *texts(TIMES), sep="  ")
print('load_dataset("json"):                 ', *times, sep="  ")
print("warnings:                             ", len(said), sep="  ")
if (
    dates == ["1969-07-20 00:00:00"] * 3
    and times == ["1969-07-20 18:17:40"] * 3
    and mixed == from_list == ["1969-07-20"] * 3
    and not said
):
    print("As described.")
    sys.exit(0)
print("The behaviour has changed.")
sys.exit(1)
PYTHON
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/seen.py" "$folder" 2>"$folder/log" || {
  status=$?
  tail -n 5 "$folder/log" >&2
  exit "$status"
}
