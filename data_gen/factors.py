"""What a scene is made of: one row per factor, with its words and its range. Imports no torch.

Any factor may be a concept of an experiment; the others are nuisances with a distribution.
"""

from dataclasses import dataclass

Words = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Factor:
    """One property of a scene.

    Attributes:
        words: value → direction from the centre, one number per channel: the mean of a value is
            centre + direction · signal / 2 (arXiv:2406.19370). A factor of kinds has none.
        column: its first column in the random stream of a scene. Changing one changes every scene.
        unit: of its numbers.
        centre, low, high: the middle and the range of each channel.
        signal: of a concept that gives none; None: it must give one.
        jitter_share: half-width of the jitter within a value as a share of the signal.
        floor: values below are raised to it.
        nuisance: (low, high) of a factor that is no concept and is not configured; a factor of
            kinds then shows its first.
    """

    words: Words
    column: int
    nuisance: tuple[float, float] = (0.0, 0.0)
    unit: str = ""
    centre: float = 0.0
    low: float = 0.0
    high: float = 0.0
    signal: float | None = None
    jitter_share: float = 0.125
    floor: float | None = None

    @property
    def channels(self) -> int:
        """Numbers per scene; 0 for a factor of kinds."""
        return len(next(iter(self.words.values())))


def _kinds(*names: str) -> Words:
    return {name: () for name in names}


# A new value is one row here; a shape also needs its signed distance in shapes.py and its corners
# in reference.py. Its word is its name. Lengths are in half-frames: the image spans [−1, 1] to the
# right (x) and upwards (y).
COLORS: Words = {
    "red": (1, -1, -1),
    "green": (-1, 1, -1),
    "blue": (-1, -1, 1),
    "yellow": (1, 1, -1),
    "magenta": (1, -1, 1),
    "cyan": (-1, 1, 1),
    "orange": (1, 0, -1),
    "purple": (0, -1, 1),
    "black": (-1, -1, -1),
    "gray": (0, 0, 0),
    "white": (1, 1, 1),
}
SIZES: Words = {"small": (-1,), "medium": (0,), "large": (1,), "big": (1,)}  # radius of equal area
ACROSS: Words = {"left": (-1,), "center": (0,), "right": (1,)}
UPWARDS: Words = {"bottom": (-1,), "middle": (0,), "top": (1,)}
GREYS: Words = {"dark": (-1, -1, -1), "light": (1, 1, 1)}
ANGLES: Words = {"upright": (0,), "tilted": (2,), "leaning": (-2,)}  # counter-clockwise
FACTORS = {
    "shape": Factor(
        words=_kinds(
            "circle", "triangle", "square", "pentagon", "hexagon", "star", "ring", "cross"
        ),
        column=9,
    ),
    "color": Factor(COLORS, 0, (0.0, 0.6), "RGB", centre=0.5, high=1.0, signal=0.7),
    # jitter and floor are those of arXiv:2406.19370's released images
    "size": Factor(SIZES, 3, (0.45, 0.45), "half-frames", 0.45, 0.0, 1.0, 0.3, 0.375, floor=0.1),
    "x": Factor(ACROSS, 4, (-0.3, 0.3), "half-frames", low=-1.0, high=1.0, signal=0.6),
    "y": Factor(UPWARDS, 5, (-0.3, 0.3), "half-frames", low=-1.0, high=1.0, signal=0.6),
    "background": Factor(GREYS, 6, (0.9, 1.0), "RGB", centre=0.5, high=1.0, signal=0.4),
    "rotation": Factor(ANGLES, 10, (0.0, 0.0), "degrees", low=-360.0, high=360.0),
    "style": Factor(_kinds("filled", "outlined"), 11),
}
COLUMNS = 12  # random numbers a scene takes
