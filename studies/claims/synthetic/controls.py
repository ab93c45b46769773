"""Controls on synthetic runs and codes: noise raises no alarm, and what is planted is found."""

from collections.abc import Iterator

import numpy as np

from analysis.measures.geometry import measure_geometry
from analysis.measures.homology import TORUS, persistence
from analysis.measures.ideal_codes import angles, clifford_torus, solid_torus, with_noise
from studies.claims.claim import Decision, Part
from studies.claims.evidence import count, informs
from studies.claims.of_file import Case
from studies.claims.synthetic.planted import planted_curves, planted_swings


def noise(case: Case) -> Iterator[Decision]:
    """Decide whether paths that do not turn back are seldom called turning."""
    rng, numbers = case.study.rng(), case.numbers
    parts = []
    for name in ("flat .5", "rising"):
        for correlation in case.lists["correlations"]:
            swings = _swinging(case, name, correlation, int(numbers["runs"]), rng)
            parts.append((f"{name}, AR(1) {correlation:g}: swings", count("RARE", swings)))
    yield case.decision("synthetic runs", parts)


def planted(case: Case) -> Iterator[Decision]:
    """Decide whether planted swings are found, and both tori told from each other."""
    rng = case.study.rng()
    parts: list[Part] = []
    for correlation in case.lists["correlations"]:
        swings = _swinging(case, "dip .4", correlation, int(case.numbers["runs"]), rng)
        parts.append((f"dip of .4, AR(1) {correlation:g}: swings", count("ALL", swings)))
    yield case.decision("synthetic runs and codes", [*parts, *_tori(case, rng)])


def _swinging(
    case: Case, name: str, correlation: float, runs: int, rng: np.random.Generator
) -> np.ndarray:
    numbers = case.numbers
    curve = planted_curves(int(numbers["checkpoints"]))[name]
    found = planted_swings(curve, runs, int(numbers["images"]), correlation, rng)
    return np.array(
        [one.fall >= numbers["swing"] and one.low > numbers["certain"] for one in found]
    )


def _tori(case: Case, rng: np.random.Generator) -> Iterator[Part]:
    """Yield for both tori in how many draws κ is on their side, and κ itself."""
    numbers = case.numbers
    turn = angles(int(numbers["places"]))
    for name, code, is_coupled in (
        ("3-D torus", solid_torus(turn, turn), True),
        ("Clifford torus", clifford_torus(turn, turn), False),
    ):
        kappa = np.array([_kappa(case, code, rng) for _ in range(int(numbers["draws"]))])
        right = (kappa > numbers["kappa"]) == is_coupled
        holes = _has_holes(code)
        yield (
            f"{name}: kappa on its side, and Betti numbers of a torus",
            count("ALL", right & holes),
        )
        yield f"{name}: kappa", informs(kappa)


def _kappa(case: Case, code: np.ndarray, rng: np.random.Generator) -> float:
    n = case.numbers
    noisy = with_noise(code, int(n["replicates"]), int(n["width"]), n["noise"], rng=rng)
    return measure_geometry(noisy).numbers["kappa"]


def _has_holes(code: np.ndarray) -> bool:
    """Return whether the widest range of scales of a code without noise shows a torus."""
    longest = persistence(code.reshape(-1, code.shape[-1])).longest()
    return longest is not None and longest.betti == TORUS
