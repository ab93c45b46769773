"""The figure of sets of prompts beside the captions: what is drawn, and that it can be read."""

from analysis.figures.other_prompts import prompt_figure
from analysis.tables.other_prompts import prompt_curves
from tests.harness.legibility import assert_legible


def test_figure_has_a_panel_per_split_and_a_line_per_set(prompt_scores):
    figure = prompt_figure(prompt_curves(prompt_scores))
    titles = ["held-out combinations", "training combinations", "partial prompts"]
    assert [panel.get_title() for panel in figure.axes] == titles
    assert [len(panel.get_lines()) for panel in figure.axes] == [2, 2, 1]
    assert_legible(figure)
