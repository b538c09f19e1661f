"""A user's file of facts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from easyedit_ice.data import load_records
from easyedit_ice.data.fact_files import read_facts
from easyedit_ice.errors import DataError

FACTS = [
    {"prompt": "A is in", "subject": "A", "target_new": "B", "rephrase_prompt": "Where is A? In"},
    {"prompt": "C, the city, is in", "subject": "C", "target_new": "D"},
]
OURS = [{"prompt": f["prompt"], "subject": f["subject"], "target": f["target_new"]} for f in FACTS]
OURS[0]["rephrase"] = FACTS[0]["rephrase_prompt"]


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("f.json", json.dumps(FACTS)),
        ("f.json", json.dumps(OURS)),
        ("f.jsonl", "\n".join(map(json.dumps, OURS)) + "\n\n"),
        ("f.json", "\n".join(map(json.dumps, FACTS))),
        ("f.csv", '\ufeffprompt,subject,target,rephrase\nA is in,A,B,Where is A? In\n"C, the city, is in",C,D,\n'),
        ("f.csv", 'prompt,subject,target,rephrase,,\nA is in,A,B,Where is A? In,,\n"C, the city, is in",C,D,,,\n'),
        (
            "f.tsv",
            "prompt\tsubject\ttarget_new\trephrase_prompt\nA is in\tA\tB\tWhere is A? In\nC, the city, is in\tC\tD\t\n",
        ),
    ],
)
def test_every_kind_of_file_gives_the_same_facts(name, text, tmp_path):
    assert read_facts(written(tmp_path, name, text)) == FACTS


def test_a_single_object_is_one_fact(tmp_path):
    assert read_facts(written(tmp_path, "f.json", json.dumps(FACTS[1]))) == FACTS[1:]


def test_probes_stand_in_cells_as_json(tmp_path):
    probes = {"other": {"prompt": "E is in", "ground_truth": "F"}}
    quoted = json.dumps(probes).replace('"', '""')
    (fact,) = read_facts(written(tmp_path, "f.csv", f'prompt,target,locality\nA is in,B,"{quoted}"\n'))
    assert fact["locality"] == probes


def test_published_forms_are_read_as_for_benchmarks(tmp_path):
    zsre = {
        "subject": "A",
        "src": "A is in",
        "alt": "B",
        "loc": "E is in",
        "loc_ans": "F",
        "answers": ["G"],
        "rephrase": "r",
    }
    path = written(tmp_path, "z.json", json.dumps([zsre]))
    (fact,), (record,) = read_facts(path), load_records(path)
    assert (fact["prompt"], fact["target_new"], fact["rephrase_prompt"]) == ("A is in", "B", "r")
    assert record["prompt"] == fact["prompt"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("f.json", "[]", ["holds no fact"]),
        ("f.csv", "", ["holds no fact"]),
        ("f.csv", "prompt,target\n", ["holds no fact"]),
        ("f.csv", "promt,target\nA,B\n", ["record 0", "'promt' is not known", "Did you mean 'prompt'?"]),
        ("f.jsonl", '{"prompt": "A", "target": "B", "rephrse": "r"}', ["record 0", "Did you mean 'rephrase'?"]),
        (
            "f.json",
            '[{"prompt": "A", "target": "B"}, {"prompt": "A", "subject": "A"}]',
            ["record 1", "target_new is missing"],
        ),
        ("f.json", '[{"prompt": "A", "target": 3}]', ["target_new is 3", "expected text"]),
        ("f.json", '["A"]', ["record 0", "expected an object"]),
        ("f.jsonl", '{"prompt": "A", "target": "B"}\n{"prompt"', ["line 2 is not valid JSON"]),
        ("f.json", "[{]", ["not valid JSON"]),
        ("f.csv", "prompt,target\nA, B, C\n", ["more cells", "quotes"]),
        ("f.csv", "prompt,target,target\nA,B,C\n", ["'target' twice"]),
        ("f.csv", "prompt,target,target_new\nA,B,C\n", ["both target_new and target"]),
        ("f.csv", 'prompt,target\n"A,B\nC,D\n', ["cannot be read", "close each quote"]),
        ("f.csv", f"prompt,target\nA,{'B' * 200_000}\n", ["cannot be read", "larger than", "or give JSON"]),
        ("f.json", "[" * 100_000, ["nested too deeply"]),
        ("f.jsonl", '{"prompt": ' + "[" * 100_000, ["line 1", "nested too deeply"]),
    ],
)
def test_what_is_wrong_is_named(name, text, words, tmp_path):
    with pytest.raises(DataError) as refused:
        read_facts(written(tmp_path, name, text))
    assert all(word in str(refused.value) for word in [name, *words]), str(refused.value)


def test_a_line_may_hold_any_separator_of_unicode(tmp_path):
    fact = {"prompt": "A\u2028B\u0085 is in", "target_new": "C"}
    path = written(tmp_path, "f.jsonl", json.dumps(fact, ensure_ascii=False) + "\n")
    assert read_facts(path) == [fact]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv: there is no such file"):
        read_facts(tmp_path / "nowhere.csv")
