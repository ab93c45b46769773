"""Command `scripts/reproduce.py ID`: run what is missing, decide, write what was found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ground.endings import Mistake, nearest
from studies.claims.asked import Asked
from studies.claims.listing import ROOT, Listed
from studies.claims.told import as_rows, line
from studies.claims.written import Rows, write_verdict

STUDIES = ROOT / "configs" / "studies"
S_CUBE = "configs/studies/s_cube.yaml"
Say = Callable[[str], None]
Found = tuple[Rows, str]  # rows of a verdict, and what it was decided from


def paper_lines(claims: Sequence[Listed]) -> Iterator[str]:
    """Yield what decides some claims at the size of their papers."""
    for one in claims:
        entry = one.entry
        if entry.scale == "theory":
            yield f"{one.id}: decided at the size of the paper on a CPU; give it without --scale"
        elif entry.paper_scale:
            yield f"{one.id}: not decidable here; on GPUs: {entry.paper_scale}"
        else:
            yield f"{one.id}: has no version at the size of a paper"


def dry_run(claims: Sequence[Listed], asked: Asked) -> str:
    """Return what some claims need, and what that costs."""
    from studies.claims.images.sweeps import describe_sweeps

    lines = [
        f"{one.id}: {one.entry.claim} ({one.entry.rule}); cost: {one.entry.cost}" for one in claims
    ]
    return "\n".join([*lines, *describe_sweeps(_sweeps(claims), asked)])


def _sweeps(claims: Sequence[Listed]) -> list[Path]:
    """Return the configs of the studies on images that some claims need."""
    needed = [one for one in claims if one.family not in FAMILIES and one.entry.scale != "gpu"]
    return [*dict.fromkeys(path for one in needed for path in studies_of(one))]


def studies_of(one: Listed) -> list[Path]:
    """Return the configs of the studies that a claim about images is decided from. Raises Mistake
    for a claim without any, and for a config that is missing."""
    known = tuple(f"configs/studies/{path.name}" for path in STUDIES.glob("*.yaml"))
    place = f"{one.rules}: claims.{one.id}.runs"
    if not one.entry.runs:
        raise Mistake(f"{place}: missing; give configs of studies, such as {S_CUBE}")
    for path in one.entry.runs:
        if not (ROOT / path).is_file():
            raise Mistake(f"{place}: {path} is no config of a study{nearest(path, known)}")
    return [ROOT / path for path in one.entry.runs]


def decide_claims(claims: Sequence[Listed], asked: Asked, say: Say) -> None:
    """Run what is missing of some claims, decide each, and write what was found."""
    for one in claims:
        if one.entry.scale == "gpu":
            say("\n".join(paper_lines([one])))
            continue
        rows, decided_from = FAMILIES.get(one.family, _of_images)(one, asked, say)
        for row in rows:
            say(line(row))
        folder = asked.runs / "claims" / one.id
        write_verdict(one, rows, decided_from, folder)
        say(f"rules: {one.rules_hash}; wrote {one.verdict_file} and {folder}")


def _of_sim(one: Listed, asked: Asked, say: Say) -> Found:
    """Decide a claim of the theory from its studies, which run what is missing."""
    from studies.claims.sim.config import read_sim_config
    from studies.claims.sim.study import run_and_write

    rows: list[Mapping[str, Any]] = []
    for path in one.entry.runs:
        config = read_sim_config(ROOT / path)
        found = run_and_write(config, asked.runs / "sim" / config.name, lambda _: None)
        say(f"{config.name}: {config.seeds.count} seeds of {len(config.runs)} variants")
        rows += found[one.id]
    return rows, ", ".join(one.entry.runs)


def _of_computation(one: Listed, asked: Asked, say: Say) -> Found:
    """Decide a claim by a computation of its own."""
    from studies.claims.registry import claim_of
    from studies.claims.synthetic.claims import Computation

    computation = Computation.of_rules()
    say(f"{one.id}: computing, seed {computation.seed}")
    decisions = claim_of(one.id, one.rules).decide(computation)
    rows = [row for decision in decisions for row in as_rows(decision)]
    return rows, f"a computation, seed {computation.seed}"


def _of_images(one: Listed, asked: Asked, say: Say) -> Found:
    """Decide a claim about images from runs, of which those that are missing are trained."""
    from studies.claims.images.sweeps import runs_of
    from studies.claims.registry import claim_of

    claim = claim_of(one.id, one.rules)
    runs = runs_of(one, studies_of(one), asked, say)
    decisions = claim.decide(runs)
    rows = [row for decision in decisions for row in as_rows(decision)]
    return rows, runs.told


FAMILIES: dict[str, Callable[[Listed, Asked, Say], Found]] = {
    "sim": _of_sim,
    "synthetic": _of_computation,
}
