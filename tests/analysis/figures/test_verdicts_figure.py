"""The figure of a claim: what its rule holds an effect against, and the words beside the rows."""

from analysis.figures.verdicts import verdict_figure


def row(what, rule="", verdict="reported", effect=0.1):
    low, high = (None, None) if effect is None else (effect - 1, effect + 1)
    words = {"variant": "cube", "what": what, "rule": rule, "verdict": verdict}
    return words | {"effect": effect, "low": low, "high": high}


ROWS = [
    row("first − second", "EACH MORE(0.2)", "undecided (gate: one run)"),
    row("first − second, seed 1000", effect=None),
    row("difference", "SAME(0.1)", "holds"),
    row("what only informs"),
]


def test_a_figure_shows_bars_words_and_what_is_unknown():
    axes = verdict_figure("p9.id: a claim", ROWS).axes[0]
    bars = [[segment[0][0] for segment in lines.get_segments()] for lines in axes.collections]
    assert bars == [[0.2], [0.2], [-0.1, 0.1], []]  # seeds of EACH have its bar
    (edge,) = axes.child_axes
    words = [label.get_text() for label in edge.get_yticklabels()]
    assert words == ["undecided", "unknown", "holds", ""]
