"""How all figures look: 7 in wide, for paper and screen; colours, panels, axes, files.

Colours are Okabe and Ito's, which colour-blind readers tell apart. Figures are made with
matplotlib's object interface: nothing here touches pyplot or needs a display.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.figures.fonts import use_fonts_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN = 7.0
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.borderaxespad": 0.2,
    "legend.columnspacing": 1.2,
    "legend.handlelength": 1.6,
    "pdf.fonttype": 42,  # text stays text: journals refuse the default
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}


def colors_of(count: int) -> list[Any]:
    """Choose `count` colours: the palette's, or if there are too few, from dark to light."""
    if count <= len(PALETTE):
        return list(PALETTE[:count])
    from matplotlib import colormaps

    return [colormaps["cividis"](place) for place in np.linspace(0, 0.95, count)]


@contextmanager
def figure_style() -> Iterator[None]:
    """Context within which everything of a figure is made, and saved."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(height_in: float) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.07)
    return Figure(figsize=(WIDTH_IN, height_in), layout=layout)


def panels_of(
    count: int, columns: int, panel_height_in: float, one_y_axis: bool = True
) -> tuple[Figure, list[Axes]]:
    """Make a figure of `count` panels, in as even rows of at most `columns` as there can be."""
    rows = math.ceil(count / columns)
    columns = math.ceil(count / rows)
    figure = new_figure(rows * panel_height_in + 0.5)
    axes = list(figure.subplots(rows, columns, sharey=one_y_axis, squeeze=False).flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def images_seen_axis(panel: Axes, images_seen: pd.Series) -> None:
    """Make an axis logarithmic from the first snapshot after 0 on; 0 stands left, after a break."""
    positive = images_seen[images_seen > 0]
    first, last = (positive.min(), positive.max()) if len(positive) else (1, 10)
    decades = 10.0 ** np.arange(np.ceil(np.log10(first)), np.floor(np.log10(last)) + 1)
    decades = decades[:: max(1, math.ceil(len(decades) / 3))]  # more labels would touch
    ticks = list(decades) if len(decades) > 1 else sorted({first, last})
    span = max(1.0, np.log10(last / first))
    panel.set_xscale("symlog", linthresh=first, linscale=0.25 * span)
    if (images_seen == 0).any():
        ticks.insert(0, 0)
        panel.text(
            first / 2, 0, "//", transform=panel.get_xaxis_transform(), ha="center", va="center"
        )
    panel.set_xticks(ticks, [short_count(tick) for tick in ticks])
    panel.set_xlim(-first / 3 if (images_seen == 0).any() else first / 1.2, last * 1.2)
    panel.minorticks_off()


def short_count(count: float) -> str:
    """A number of images in at most five characters or so: 0, 512, 1.6k, 205k, 1.2M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if count >= size:
            digits = 1 if count < 10 * size and count % size else 0
            return f"{count / size:.{digits}f}{letter}"
    return f"{count:.0f}"


def save_figure(figure: Figure, path: Path) -> None:
    """Writes `path`.png (200 dpi) and `path`.pdf.

    Each appears under its name only when complete. The folder must exist.
    """
    for suffix, metadata in ((".png", {}), (".pdf", {"CreationDate": None})):
        target = path.with_name(path.name + suffix)
        partial = target.with_name(f".{target.name}.partial")
        with figure_style():
            write_figure(figure, partial, suffix[1:], metadata)
        os.replace(partial, target)


def write_figure(
    figure: Figure, target: Path | IO[bytes], kind: str, metadata: dict[str, None] | None = None
) -> None:
    """Write a figure at 200 dpi, with the system's fonts for what the figures' own has not."""
    use_fonts_for(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of which we have warned
        figure.savefig(target, format=kind, dpi=200, metadata=metadata or {})
