"""The page needs nothing beside it, and no text of a run can become markup."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from ledgers import FAIR, GOOD, rewrite_lines, write_run

from easyedit_ice.bench.report import compare, read_run, write_report
from easyedit_ice.bench.report.analysis import analyse
from easyedit_ice.bench.report.charts import bars, drawn_as

EVIL = '</script><script>alert(1)</script><!-- <img src=x onerror="alert(2)"> & \u2028'


class Parsed(HTMLParser):
    """Elements, their attributes, and the text of the embedded data."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.data, self._in_data = [], [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self._in_data = ("id", "data") in attributes

    def handle_data(self, data):
        if self._in_data:
            self.data += data

    def handle_endtag(self, tag):
        self._in_data = False


def _page(folders, out, labels=()):
    runs = [read_run(folder, *label) for folder, label in zip(folders, labels or [()] * len(folders), strict=True)]
    write_report(compare(runs), out, ["html"])
    return Parsed((out / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of two methods in two modes."""
    folder = tmp_path_factory.mktemp("page")
    folders = []
    for label, quality in {"ICE-LoRA": GOOD, "ROME": FAIR}.items():
        folders.append(write_run(folder / label, label, quality, size=5, failed=[1] if label == "ROME" else []))
        folders.append(write_run(folder / f"{label}-s", label, quality, mode="sequential", size=4, data={
            "source": "factworld/test", "hash": "05" * 32, "facts": 4, "untouched": 2,
        }, untouched=2))  # fmt: skip
    return _page(folders, folder)


def test_nothing_is_loaded_from_elsewhere(page):
    links = [value for name, value in page.attributes if name in ("src", "href", "action", "srcset")]
    assert links
    assert all(link.startswith(("data:image/svg+xml;base64,", "#")) for link in links)
    assert "link" not in page.tags and "iframe" not in page.tags
    assert any(name == "content" and value.startswith("default-src 'none'") for name, value in page.attributes)


def test_texts_of_runs_cannot_become_markup(tmp_path):
    def evil(line):
        if "case" in line:
            line["case"] |= {"target_new": EVIL, "ground_truth": EVIL}
        for answer in line.get("answers", ()):
            answer |= {"prompt": answer["prompt"] + EVIL, "generated": EVIL, "answer": EVIL}
        return line

    harmless = _page([write_run(tmp_path / "harmless", size=3)], tmp_path / "one")
    folder = write_run(tmp_path / "evil", size=3, command=EVIL, hparams={EVIL: EVIL}, host=EVIL)
    rewrite_lines(folder, evil)
    page = _page([folder], tmp_path / "two", [(EVIL,)])
    assert page.tags == harmless.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    data = json.loads(page.data)["cases"]
    assert data["labels"] == [EVIL]
    assert data["rows"][0][5] == EVIL
    assert data["rows"][0][7][0][1] == EVIL


def test_every_question_can_be_browsed_with_its_answers(page, tmp_path):
    cases = json.loads(page.data)["cases"]
    assert [group["name"] for group in cases["groups"]] == ["single", "sequential"]
    assert cases["groups"][1]["phases"] == [
        "right after the edit", "after the last edit", "facts never edited, after the last edit",
    ]  # fmt: skip
    folder = write_run(tmp_path / "again", "ROME", FAIR, size=5, failed=[1])
    lines = [json.loads(text) for text in (folder / "ledger.jsonl").read_text().splitlines()]
    before = [line for line in lines if line["phase"] == "before"]
    after = [line for line in lines if line["phase"] == "immediate"]
    rows = [row for row in cases["rows"] if row[:2] == [0, 0]]
    assert len(rows) == sum(len(line["answers"]) for line in before)
    rome = cases["groups"][0]["methods"].index(cases["labels"].index("ROME"))
    answered = [row[7][rome] for row in rows if row[7][rome]]
    expected = [
        [int(answer["right"]), answer["generated"], answer["token_accuracy"], answer["p_new"], answer["p_old"]]
        for line in after
        for answer in line["answers"]
    ]
    assert answered == expected
    assert sum(row[7][rome] is None for row in rows) == len(before[1]["answers"])


def test_what_was_answered_before_stands_beside(page):
    rows = [row for row in json.loads(page.data)["cases"]["rows"] if row[4] and row[0] == 0]
    assert all(isinstance(row[6], str) for row in rows)


def test_without_written_answers_right_means_every_token(tmp_path):
    def forced(line):
        for answer in line.get("answers", ()):
            del answer["generated"], answer["right"]
        return line

    folder = write_run(tmp_path / "run", size=3)
    rewrite_lines(folder, forced)
    rows = json.loads(_page([folder], tmp_path).data)["cases"]["rows"]
    assert {(answer[0], answer[1], answer[2]) for row in rows for answer in row[7]} == {(1, None, 1.0), (0, None, 0.5)}


def test_a_report_without_answers_still_has_its_tables(tmp_path):
    folder = write_run(tmp_path / "run", size=3)
    rewrite_lines(folder, lambda line: {key: value for key, value in line.items() if key != "answers"})
    page = _page([folder], tmp_path)
    assert json.loads(page.data)["cases"]["rows"] == []
    assert "table" in page.tags


def test_a_method_has_one_colour_in_all_modes_and_in_the_page(tmp_path):
    folders = [write_run(tmp_path / "a", "A", size=2), write_run(tmp_path / "b", "B", FAIR, size=2)]
    folders.append(write_run(tmp_path / "s", "B", FAIR, mode="sequential", size=2))
    comparison = compare([read_run(folder) for folder in folders])
    drawn = drawn_as(comparison.labels)
    single, stream = (bars(results, "immediate", drawn) for results in analyse(comparison))
    colour_of_b = single.axes[0].containers[2].patches[0].get_facecolor()
    assert stream.axes[0].containers[0].patches[0].get_facecolor() == colour_of_b
    assert single.axes[0].containers[0].patches[0].get_facecolor() != colour_of_b
    assert json.loads(_page(folders, tmp_path / "out").data)["colours"] == [look.colour for look in drawn.values()]
