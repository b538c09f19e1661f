"""Which of a written text's two answers a report shows."""

from __future__ import annotations

import pytest
from ledgers import rewrite_lines, write_run

from easyedit_ice.bench.report import compare, read_run
from easyedit_ice.bench.report.analysis import analyse
from easyedit_ice.bench.report.case_studies import cases
from easyedit_ice.errors import RunConfigError


def _run(folder, stopped):
    """A run in which every leading answer is right and no text as a whole; the model stops this often."""

    def with_leading(line):
        if "scores" not in line:
            return line
        generated = line["scores"]["generated"]
        scores = line["scores"] | {"generated": dict.fromkeys(generated, 0.0), "leading": dict.fromkeys(generated, 1.0)}
        answers = [answer | {"right": False, "leads": True} for answer in line["answers"]]
        return line | {"scores": scores, "answers": answers, "stopped": stopped}

    rewrite_lines(write_run(folder), with_leading)
    return read_run(folder)


def _shown(comparison):
    (found,) = analyse(comparison)
    assert "leading" not in found.styles("immediate")
    rights = {answer[0] for row in cases([found])["rows"] for answer in row[-1] if answer}
    return found.scored["immediate"][-1].means["generated"]["rewrite"].mean, rights


@pytest.mark.parametrize(
    ("stopped", "answers", "score"),
    [
        (0.03, "auto", 1.0),
        (0.97, "auto", 0.0),
        (0.03, "natural", 0.0),
        (0.97, "leading", 1.0),
    ],
)
def test_a_model_that_goes_on_writing_is_judged_by_leading_answers_unless_told_otherwise(
    tmp_path, stopped, answers, score
):
    comparison = compare([_run(tmp_path / "run", stopped)], answers=answers)
    assert _shown(comparison) == (score, {int(score)})
    kind = "leading answer" if score else "natural stop"
    assert any(kind in note and f"{100 * stopped:.0f} %" in note for note in comparison.notes)


def test_ledgers_of_earlier_versions_show_what_they_have(tmp_path):
    old, new = read_run(write_run(tmp_path / "old", "old")), _run(tmp_path / "new", 0.0)
    assert any("natural stop" in note for note in compare([old]).notes)
    assert any("natural stop" in note for note in compare([old, new]).notes)
    with pytest.raises(RunConfigError, match="old kept no leading answers"):
        compare([old, new], answers="leading")


def test_another_kind_of_answer_is_refused(tmp_path):
    with pytest.raises(RunConfigError, match="Did you mean 'leading'"):
        compare([read_run(write_run(tmp_path / "run"))], answers="leadin")
