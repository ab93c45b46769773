"""Claims of the paper about trained networks, each a function of the runs that decide it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from analysis.measures.dynamics import order_violations
from studies.claims.claim import Decision, Part
from studies.claims.evidence import count, informs, mean_beyond, mean_within, share_difference
from studies.claims.sim import kinds, measures
from studies.claims.sim.cases import Case, sim_claim
from studies.claims.sim.runs import Paths, corners
from studies.claims.sim.selections import (
    HIGH,
    LOW,
    dimensions,
    diversities,
    each_of,
    each_run,
    reading,
    signals_of_readings,
    weak_and_strong,
    with_and_without_points,
)
from studies.claims.sim.variants import settings_of


def rates(case: Case) -> Iterator[Decision]:
    """Decide whether each concept is learned at its rate a_k."""
    (ratios,) = case.each(measures.rate_ratios)
    yield case.decision(_clocks(case, "rate {0} / a_{0} − 1", ratios - 1))


def augmented(case: Case) -> Iterator[Decision]:
    """Decide the same of biases, and whether the augmented moment matrix has their rates."""
    yield from rates(case)
    (ratios,) = case.each(measures.mode_ratios)
    parts = _clocks(case, "rate along eigenvector {0} / its eigenvalue − 1", ratios - 1)
    yield case.decision(parts, ", augmented moment")


def _clocks(case: Case, label: str, off: np.ndarray) -> list[Part]:
    return [
        (label.format(k), mean_within(case.margin, values)) for k, values in enumerate(off.T, 1)
    ]


def bow_by_signal(case: Case) -> Iterator[Decision]:
    """Decide whether paths bow to the larger mu, and not if both are equal."""
    weak, equal, strong = case.each(measures.bows)
    yield case.decision(
        [
            ("B > 0 at mu (1, 2)", count("ALL", weak > 0)),
            ("B at mu (2, 2)", mean_within(case.margin, equal)),
            ("B < 0 at mu (3, 2)", count("ALL", strong < 0)),
        ]
    )


def bow_by_diversity(case: Case) -> Iterator[Decision]:
    """Decide whether a large sigma_1 reverses the order of learning."""
    low, tie, high = case.each(measures.bows)
    yield case.decision(
        [
            ("B at sigma_1 .05", mean_beyond(case.margin, low)),
            ("−B at sigma_1 2", mean_beyond(case.margin, -high)),
            ("B at sigma_1 1", informs(tie)),
        ]
    )


def swing_by(case: Case) -> Iterator[Decision]:
    """Decide whether losses rise; without biases or in a high dimension this only informs."""
    (rises,), (swings,) = case.rising(), case.each(measures.swings)
    settings, swung = settings_of(case.runs[0]), ("c_1 swings", informs(swings))
    if settings.bias and settings.dim != HIGH:
        yield from case.twice("loss rises", rises, [swung])
    else:
        yield case.decision([("loss rises", informs(rises)), swung])


def swing_by_of_dimension(case: Case) -> Iterator[Decision]:
    """Decide whether losses rise more often in a low dimension."""
    verdict = share_difference(case.margin, *case.rising())
    yield case.decision([("rises at d 2 − at d 64", verdict)])


def monotone_training(case: Case) -> Iterator[Decision]:
    """Decide whether training losses are monotone where test losses rise."""
    (risen,), (paths,) = case.rising(), case.paths
    monotone = ~measures.training_rises(paths, case.rules)[risen]
    verdict = count("ALL", monotone)
    if len(monotone) < case.rules.least_runs:
        verdict = replace(verdict, word="undecided")
    what = f"training loss is monotone in the {len(monotone)} runs whose test loss rises"
    yield case.decision([(what, verdict)])


def hypercube(case: Case) -> Iterator[Decision]:
    """Decide after two and after four epochs whether corner losses respect their order."""
    (paths,) = case.paths
    for epoch in (2, 4):
        yield case.decision(_ordered(paths, epoch, case.rules.order), f", epoch {epoch}")


def _ordered(paths: Paths, epoch: int, order: float) -> list[Part]:
    losses = paths.corner_losses[:, list(paths.t).index(epoch)]
    points, start = corners(paths.outputs.shape[2]), paths.loss[:, 0]
    clearly = order_violations(losses, points, order * start)
    at_all, others = order_violations(losses, points), order_violations(losses[:, 1:], points[1:])
    return [
        ("no pair violated", count("MOST", clearly.share == 0)),
        ("share of pairs violated", informs(clearly.share)),
        ("share violated by however little", informs(at_all.share)),
        ("share violated by however little, without the origin", informs(others.share)),
        ("largest violation / start", informs(at_all.largest / start)),
    ]


def order_of_two_layers(case: Case) -> Iterator[Decision]:
    """Decide whether paths of two layers bow to the larger mu."""
    weak, strong = case.each(measures.bows)
    yield case.decision(
        [
            ("B > 0 at mu (1, 2)", count("ALL", weak > 0)),
            ("B < 0 at mu (3, 2)", count("ALL", strong < 0)),
        ]
    )


def exclusion(case: Case) -> Iterator[Decision]:
    """Decide whether paths stay the same without the points near the probe."""
    bow, bow_without = case.each(measures.bows)
    rho, rho_without = (measures.heights(paths) for paths in case.paths)
    yield case.decision(
        [
            ("difference in B", mean_within(case.margin, bow_without - bow)),
            ("difference in rho", mean_within(case.margin, rho_without - rho)),
        ]
    )


THEOREM = [
    sim_claim(
        "p1.thm41", "Theorem 4.1", kinds.LINEAR, reading("paper"), rates, ("rates", "margin")
    ),
    sim_claim(
        "p1.thm41.bias",
        "Theorem 4.1",
        kinds.LINEAR,
        reading("code"),
        augmented,
        ("rates", "margin"),
    ),
]
FIGURE_2 = [
    sim_claim(
        "p1.fig2a", "Fig. 2a", kinds.BOW, signals_of_readings, bow_by_signal, ("arrived", "margin")
    ),
    sim_claim(
        "p1.fig2b", "Fig. 2b", kinds.BOW, diversities, bow_by_diversity, ("arrived", "margin")
    ),
    sim_claim(
        "p1.fig2c.swing", "Fig. 2c", kinds.DEEP_LINEAR, each_run, swing_by, ("rise", "swing")
    ),
    sim_claim(
        "p1.fig2c.dimension",
        "Fig. 2c",
        kinds.DEEP_LINEAR,
        dimensions,
        swing_by_of_dimension,
        ("rise", "margin"),
    ),
]
OTHERS = [
    sim_claim(
        "p1.fig17",
        "Fig. 17",
        kinds.DEEP_LINEAR,
        each_of(lambda settings: settings.dim == LOW and settings.bias is True),
        monotone_training,
        ("rise", "monotone", "least_runs"),
    ),
    sim_claim("p1.fig7", "Fig. 7", kinds.FOUR_EPOCHS, each_run, hypercube, ("order",)),
    sim_claim(
        "p1.fig11-12",
        "Figs. 11 and 12",
        kinds.BOW,
        weak_and_strong,
        order_of_two_layers,
        ("arrived",),
    ),
    sim_claim(
        "p1.fig16", "Fig. 16", kinds.BOW, with_and_without_points, exclusion, ("arrived", "margin")
    ),
]
TRAINED = (*THEOREM, *FIGURE_2, *OTHERS)
