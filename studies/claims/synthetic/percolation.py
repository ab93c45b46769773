"""Percolation: known thresholds of lattices, and how much of a tiling bumps of each width need."""

from collections.abc import Iterator

import numpy as np

from analysis.measures.finite_size import Threshold, finite_size_threshold
from analysis.measures.intervals import Interval
from analysis.measures.overlap import bump_reach, first_spans
from analysis.measures.percolation import first_windings, random_ranks, torus_links
from analysis.measures.verdicts import Verdict, more, same
from studies.claims.claim import Decision, Part
from studies.claims.evidence import informs
from studies.claims.of_file import Case


def thresholds(case: Case) -> Iterator[Decision]:
    """Decide whether the thresholds of both lattices are the known ones."""
    rng, pairs = case.study.rng(), zip(case.lists["neighbors"], case.lists["known"], strict=True)
    parts = []
    for neighbors, known in pairs:
        first = _windings(case, int(neighbors), rng)
        wide, inner = (_threshold(case, first, level) for level in (0.95, 0.9))
        verdict = _away(case.entry.margin, known, wide, inner)
        parts.append((f"{neighbors:g} neighbors: threshold − {known:g}", verdict))
    yield case.decision("tori of 8 to 64 sites", parts)


def _windings(case: Case, neighbors: int, rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Return when the runs of every size first wind around."""
    runs = int(case.numbers["runs"])
    return {
        int(size): first_windings(
            torus_links(int(size), neighbors), random_ranks(runs, int(size) ** 2, rng)
        )
        for size in case.lists["sizes"]
    }


def _threshold(case: Case, first: dict[int, np.ndarray], confidence: float) -> Threshold:
    return finite_size_threshold(first, rng=case.study.rng(), confidence=confidence)


def _away(margin: float, known: float, wide: Threshold, inner: Threshold) -> Verdict:
    ends = (Interval(*(end - known for end in one.interval)) for one in (wide, inner))
    return same(margin, wide.estimate - known, *ends)


def widths(case: Case) -> Iterator[Decision]:
    """Decide for both overlaps whether narrower bumps need more of the tiling, at every step."""
    for tau in case.lists["taus"]:
        spans = {sigma: _spans(case, sigma, tau) for sigma in case.lists["sigmas"]}
        yield case.decision(f"overlap {tau:g}", [*_steps(case, spans), *_halves(spans)])


def _spans(case: Case, sigma: float, tau: float) -> np.ndarray:
    """Return the share kept when each order first spans; the orders are the same at all sigmas."""
    size, orders = int(case.numbers["canvas"]), int(case.numbers["orders"])
    centres = np.stack(np.meshgrid(*[np.arange(float(size))] * 2), -1).reshape(-1, 2)
    first = first_spans(centres / sigma, bump_reach(tau), orders, case.study.rng())
    return first / size**2


def _steps(case: Case, spans: dict[float, np.ndarray]) -> Iterator[Part]:
    orders, draws = int(case.numbers["orders"]), int(case.numbers["draws"])
    chosen = case.study.rng().integers(orders, size=(draws, orders))
    for narrow, wide in zip(spans, [*spans][1:], strict=False):
        medians = [np.median(spans[sigma][chosen], axis=1) for sigma in (narrow, wide)]
        low, high = np.quantile(medians[0] - medians[1], [0.025, 0.975])
        effect = float(np.median(spans[narrow]) - np.median(spans[wide]))
        verdict = more(0.0, effect, Interval(float(low), float(high)))
        yield f"half of the orders span: sigma {narrow:g} − sigma {wide:g}", verdict


def _halves(spans: dict[float, np.ndarray]) -> Iterator[Part]:
    for sigma, share in spans.items():
        yield f"mean share kept at sigma {sigma:g}", informs(share)
