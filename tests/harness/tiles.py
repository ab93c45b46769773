"""Small tiles: a run of some images does not pay for network calls of 64.

Who compares runs compares those of equal tiles.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

SMALL = 8


@contextmanager
def small_tiles() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in ("diffusion.sampling", "studies.scoring.units", "studies.drawing.generate"):
            patch.setattr(f"{module}.TILE", SMALL)
        yield
