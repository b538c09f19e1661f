"""Plots of alphas and scores."""

from __future__ import annotations

from easyedit_ice.evaluation import Interval
from easyedit_ice.experts.expert_plots import draw_alphas, draw_scores

PNG = b"\x89PNG"


def test_alphas_of_any_number_of_strategies_are_drawn(tmp_path):
    table = [[0.2, 1.0], [0.0, 0.7], [0.5, 0.5]]
    for count in (1, 5):
        alphas = {f"way {number}": table for number in range(count)}
        draw_alphas(alphas, ["a", "b", "c"], ["one", "two"], tmp_path / f"{count}.png")
        assert (tmp_path / f"{count}.png").read_bytes().startswith(PNG)


def test_scores_are_drawn_where_a_measure_is_missing_too(tmp_path):
    own = Interval(0.5, 0.2, 0.8, 4)
    draw_scores({"sum": {"rewrite": own, "rephrase": own}, "mean": {"rewrite": own}}, tmp_path / "scores.png")
    assert (tmp_path / "scores.png").read_bytes().startswith(PNG)
