"""Percolation of a world of bumps, said before training: does the overlap of its bumps span it?"""

import numpy as np

from analysis.measures.overlap import bump_reach, count_reached, first_spans, reached_links
from analysis.measures.percolation import largest_clusters
from data_gen.bumps.config import BumpsConfig
from data_gen.bumps.world import EXAMPLES, BumpWorld

TAUS = (0.005, 0.05)
MOST_RUNS, FEWEST_RUNS, SITES = 128, 16, 2**18  # fewer random choices of more centres
MOST_LINKS = 4_000_000  # that are listed: some 400 MB
LEAST_SIGMA = 0.5  # px; of narrower bumps the pixels decide what overlaps


def percolation_lines(world: BumpWorld) -> list[str]:
    """Lines that compare the world's kept fraction with that at which overlapping bumps span.

    None for worlds that train on no 2-D bumps. The overlap is that of bright images in closed form;
    the fractions are of the whole tiling, what is held out too.
    """
    config = world.config
    if config.image != "bump" or config.examples == "1d":
        return []
    if min(config.sigma_x, config.sigma_y) < LEAST_SIGMA:
        return [f"percolation: not predicted of sigma below {LEAST_SIGMA} px, narrower than pixels"]
    return [line for tau in TAUS for line in _lines(world, tau)]


def _lines(world: BumpWorld, tau: float) -> list[str]:
    reach = bump_reach(tau)
    quantiles = spanning_quantiles(world, reach)
    across = "around the torus" if world.config.periodic else "from left to right"
    head = f"percolation at overlap {tau:g}: bumps less than {reach:.2f} sigma apart are linked"
    kept = f"  this world keeps {world.config.kept:g}{_largest(world, reach)}"
    if quantiles is None:
        return [f"{head}; not even the whole tiling spans {across}", kept]
    low, middle, high = quantiles
    spans = f"half of all choices span {across} from kept {middle:.2f} on"
    return [f"{head}; {spans} (10 to 90 %: {low:.2f} to {high:.2f})", kept]


def spanning_quantiles(world: BumpWorld, reach: float) -> tuple[float, float, float] | None:
    """Fractions of the tiling at which 10, 50 and 90 % of random choices span; None if all of it
    does not. reach: in units of sigma."""
    is_2d = world.example == EXAMPLES.index("2d")
    points, box = _points(world.config, world.labels[is_2d].numpy())
    runs = min(MOST_RUNS, max(FEWEST_RUNS, SITES // len(points)))
    first = first_spans(points, reach, runs, np.random.default_rng(0), box)
    if first[0] > len(points):
        return None
    low, middle, high = np.quantile(first / len(points), [0.1, 0.5, 0.9]).tolist()
    return low, middle, high


def _points(config: BumpsConfig, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Centres in units of sigma, float64, and the torus they lie on."""
    sigma = np.array([config.sigma_x, config.sigma_y])
    box = config.image_size_px / sigma if config.periodic else None
    return labels / sigma, box


def _largest(world: BumpWorld, reach: float) -> str:
    """How many bumps train; what share of them is linked, if the links are not too many to list."""
    train = world.select("train")
    bumps = train[world.example[train] == EXAMPLES.index("2d")]
    points, box = _points(world.config, world.labels[bumps].numpy())
    text = f", {len(points)} of {(world.example == EXAMPLES.index('2d')).sum()} centres"
    if count_reached(points, reach, box) > MOST_LINKS:
        return text
    links, ranks = reached_links(points, reach, box), np.arange(1, len(points) + 1)[None]
    largest = largest_clusters(links, ranks, np.array([len(points)])).item()
    return f"{text}; the largest linked group holds {largest} of them"
