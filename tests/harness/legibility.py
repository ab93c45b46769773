"""Can a figure be read?"""

from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.figures.unsure import STRIP


def assert_legible(figure: Figure) -> None:
    """Every text is 8 pt or more, inside the figure, and clear of every other text."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    boxes = [t.get_window_extent(canvas.get_renderer()) for t in texts]
    assert len(texts) > 1
    for text, box in zip(texts, boxes, strict=True):
        assert text.get_fontsize() >= 8, text
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1
        assert inside and box.y1 <= figure.bbox.y1, f"{text} is cut off"
    for (a, box_a), (b, box_b) in combinations(zip(texts, boxes, strict=True), 2):
        assert not box_a.overlaps(box_b), f"{a} overlaps {b}"


def panels_of(figure: Figure, strips: bool = False) -> list[Axes]:
    """The panels of a figure that are no strips of unsure shares, or that are."""
    return [axes for axes in figure.axes if (axes.get_label() == STRIP) == strips]
