"""The claims of arXiv:2410.08309 about the task, each as a function of the runs that decide it.

Variants are found by their names in the configs.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from analysis.measures.dynamics import order_violations
from studies.claims.sim import measures
from studies.claims.sim.config import Run
from studies.claims.sim.findings import (
    Finding,
    Part,
    Study,
    count,
    informs,
    mean_beyond,
    mean_within,
    share_difference,
    twice,
)
from studies.claims.sim.runs import Paths, corners

Decide = Callable[[Study], list[Finding]]


def rates(claim: str, variant: str) -> Decide:
    def decide(study: Study) -> list[Finding]:
        off = study.of(measures.rate_ratios, variant) - 1
        return [Finding(claim, variant, _clocks(study, claim, "rate {0} / a_{0} − 1", off))]

    return decide


def augmented(study: Study) -> list[Finding]:
    """Beside a_k: the clocks of the augmented moment matrix."""
    claim, label = "p1.thm41.bias", "rate along eigenvector {0} / its eigenvalue − 1"
    off = study.of(measures.mode_ratios, "code") - 1
    found = Finding(claim, "code, augmented moment", _clocks(study, claim, label, off))
    return [*rates(claim, "code")(study), found]


def _clocks(study: Study, claim: str, label: str, off: np.ndarray) -> list[Part]:
    margin = study.margin(claim)
    return [(label.format(k), mean_within(margin, values)) for k, values in enumerate(off.T, 1)]


def fig2a(study: Study) -> list[Finding]:
    def parts(variant: str) -> list[Part]:
        weak, equal, strong = (
            study.of(measures.bows, f"{variant}, mu ({mu}, 2)") for mu in (1, 2, 3)
        )
        return [
            ("B > 0 at mu (1, 2)", count("ALL", weak > 0)),
            ("B at mu (2, 2)", mean_within(study.margin("p1.fig2a"), equal)),
            ("B < 0 at mu (3, 2)", count("ALL", strong < 0)),
        ]

    return [Finding("p1.fig2a", variant, parts(variant)) for variant in ("paper", "code")]


def fig2b(study: Study) -> list[Finding]:
    margin = study.margin("p1.fig2b")

    def parts(variant: str) -> list[Part]:
        low, tie, high = (
            study.of(measures.bows, f"{variant}, sigma_1 {sigma}") for sigma in (0.05, 1, 2)
        )
        return [
            ("B at sigma_1 .05", mean_beyond(margin, low)),
            ("−B at sigma_1 2", mean_beyond(margin, -high)),
            ("B at sigma_1 1", informs(tie)),
        ]

    variants = dict.fromkeys(name.rpartition(", ")[0] for name in study.paths)
    return [Finding("p1.fig2b", variant, parts(variant)) for variant in variants]


def swing_by(study: Study) -> list[Finding]:
    claim, found = "p1.fig2c.swing", []
    for name, paths in study.paths.items():
        rises = measures.rising(paths, study.rules)
        swings = ("c_1 swings", informs(study.of(measures.swings, name)))
        if "no bias" in name or "d 64" in name:  # reported, not claimed
            found.append(Finding(claim, name, [("loss rises", informs(rises)), swings]))
        else:
            found += twice(claim, name, "loss rises", rises, [swings])
    return found


def dimension(study: Study) -> list[Finding]:
    claim = "p1.fig2c.dimension"

    def part(mu: str) -> Part:
        low, high = (
            measures.rising(study.paths[f"{d}, {mu}"], study.rules) for d in ("d 2", "d 64")
        )
        return ("rises at d 2 − at d 64", share_difference(study.margin(claim), low, high))

    return [Finding(claim, mu, [part(mu)]) for mu in ("mu (1, 2)", "mu (2, 4)")]


def monotone_training(study: Study) -> list[Finding]:
    return [
        Finding("p1.fig17", name, [_monotone(study, paths)])
        for name, paths in study.paths.items()
        if "d 2" in name and "no bias" not in name
    ]


def _monotone(study: Study, paths: Paths) -> Part:
    risen = measures.rising(paths, study.rules)
    monotone = ~measures.training_rises(paths, study.rules)[risen]
    verdict = count("ALL", monotone)
    if len(monotone) < study.rules.least_runs:
        verdict = replace(verdict, word="undecided")
    return (f"training loss is monotone in the {len(monotone)} runs whose test loss rises", verdict)


def fig5(study: Study) -> list[Finding]:
    return [
        Finding("p1.fig5", name, [_rises(study, name)])
        for name in study.paths
        if "gaussian" not in name
    ]


def _rises(study: Study, name: str) -> Part:
    return ("loss rises", count("MOST", measures.rising(study.paths[name], study.rules)))


def mechanism(study: Study) -> list[Finding]:
    return [Finding("p1.fig5.mechanism", name, _mechanism(study, name)) for name in ("A", "A2")]


def _mechanism(study: Study, name: str) -> list[Part]:
    paths, normal = study.paths[name], study.paths[f"{name}, gaussian"]
    risen = measures.rising(paths, study.rules)
    negative = normal.W[:, 0, 0, 1] < 0
    swings = study.of(measures.swings, f"{name}, gaussian")[negative]
    return [
        (
            "w_22 ≥ ½ and w_12 falls, in rising runs",
            count("ALL", measures.suppressed(paths)[risen]),
        ),
        ("c_1 swings, of runs with w_12(0) < 0", count("RARE", swings)),
        *_stages(study.config.runs[name], paths),
    ]


def _stages(run: Run, paths: Paths) -> list[Part]:
    """Measured times over those predicted from W(0), where both are within the path."""
    found = []
    for stage, ratio in measures.stage_ratios(run, paths).items():
        seen = ratio[np.isfinite(ratio)]
        label = f"{stage}, measured / predicted time, in the {len(seen)} runs where it comes"
        found.append((label, informs(seen)))
    return found


def hypercube(study: Study) -> list[Finding]:
    return [
        Finding("p1.fig7", f"{name}, epoch {epoch}", _ordered(study, paths, epoch))
        for name, paths in study.paths.items()
        for epoch in (2, 4)
    ]


def _ordered(study: Study, paths: Paths, epoch: int) -> list[Part]:
    losses = paths.corner_losses[:, list(paths.t).index(epoch)]
    points, start = corners(paths.outputs.shape[2]), paths.loss[:, 0]
    clearly = order_violations(losses, points, study.rules.order * start)
    at_all, others = order_violations(losses, points), order_violations(losses[:, 1:], points[1:])
    return [
        ("no pair violated", count("MOST", clearly.share == 0)),
        ("share of pairs violated", informs(clearly.share)),
        ("share violated by however little", informs(at_all.share)),
        ("share violated by however little, without the origin", informs(others.share)),
        ("largest violation / start", informs(at_all.largest / start)),
    ]


def descents(study: Study) -> list[Finding]:
    found = []
    for name, paths in study.paths.items():
        least = 2 if name.startswith("fig. 8") else 3
        often = measures.num_rises(paths, study.rules) >= least
        found += twice("p1.fig8-9", name, f"{least} rises or more", often)
    return found


def plateau(study: Study) -> list[Finding]:
    found = []
    for name, paths in study.paths.items():
        for steps, at in (("10 000", len(paths.t) // 4), ("40 000", -1)):
            stopped = paths.loss[:, at] > study.rules.left * paths.loss[:, 0]
            weak = measures.coordinates(study.config.runs[name], paths)[:, at, 0] < 0.5
            parts = [
                ("loss is above .05 of its start", count("MOST", stopped)),
                ("c_1 is below ½", informs(weak)),
            ]
            found.append(Finding("p1.fig10", f"{name}, {steps} steps", parts))
    return found


def two_layers(study: Study) -> list[Finding]:
    def parts(kind: str) -> list[Part]:
        weak, strong = (study.of(measures.bows, f"{kind}, mu ({mu}, 2)") for mu in (1, 3))
        return [
            ("B > 0 at mu (1, 2)", count("ALL", weak > 0)),
            ("B < 0 at mu (3, 2)", count("ALL", strong < 0)),
        ]

    return [Finding("p1.fig11-12", kind, parts(kind)) for kind in ("linear", "ReLU")]


def exclusion(study: Study) -> list[Finding]:
    margin = study.margin("p1.fig16")

    def parts(name: str) -> list[Part]:
        with_all, without = (study.of(measures.bows, n) for n in (name, f"{name}, removed"))
        rho, rho_without = (measures.heights(study.paths[n]) for n in (name, f"{name}, removed"))
        return [
            ("difference in B", mean_within(margin, without - with_all)),
            ("difference in rho", mean_within(margin, rho_without - rho)),
        ]

    names = [name for name in study.paths if "removed" not in name]
    return [Finding("p1.fig16", name, parts(name)) for name in names]


def width(study: Study) -> list[Finding]:
    claim = "p1.appE.width"

    def part(power: str) -> Part:
        narrow, wide = (study.of(measures.swings, f"{power}, width {w}") for w in (3, 192))
        return (
            "c_1 swings at width 3 − at 192",
            share_difference(study.margin(claim), narrow, wide),
        )

    return [Finding(claim, power, [part(power)]) for power in ("A", "A2")]


CLAIMS: Mapping[str, Decide] = {
    "p1.thm41": rates("p1.thm41", "paper"),
    "p1.thm41.bias": augmented,
    "p1.fig2a": fig2a,
    "p1.fig2b": fig2b,
    "p1.fig2c.swing": swing_by,
    "p1.fig2c.dimension": dimension,
    "p1.fig17": monotone_training,
    "p1.fig5": fig5,
    "p1.fig5.mechanism": mechanism,
    "p1.fig7": hypercube,
    "p1.fig8-9": descents,
    "p1.fig10": plateau,
    "p1.fig11-12": two_layers,
    "p1.fig16": exclusion,
    "p1.appE.width": width,
}
