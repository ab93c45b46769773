"""Study from its config to files: numbers, figures, verdicts."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.figures.style import save_figure
from ground.files import whole_file, write_json
from studies.claims.claim import Decision
from studies.claims.registry import check_claims, claims_of, decide
from studies.claims.sim.config import SimConfig, named
from studies.claims.sim.figures import FIGURES, check_figures
from studies.claims.sim.gates import open_gate
from studies.claims.sim.rules import read_rules, rules_hash
from studies.claims.sim.runs import Study, check_run, run_study
from studies.claims.sim.summary import findings_table
from studies.claims.sim.tables import curves_table, runs_table

FAMILY = "sim"  # of claims


def describe(config: SimConfig) -> str:
    """Return what would be run."""
    seeds, claims = config.seeds, claims_of(FAMILY)
    lines = [
        f"{config.name}: {config.question}",
        f"seeds: {seeds.first} to {seeds.all.stop - 1}, {seeds.count} in all",
        *(f"{name}: {run}" for name, run in config.runs.items()),
        f"figures: {', '.join(config.figures)}",
        f"claims: {', '.join(config.claims) or 'none'}",
        *(f"{id}: {claims[id].statement} ({claims[id].source})" for id in config.claims),
    ]
    return "\n".join(lines)


def check_study(config: SimConfig) -> None:
    """Raise Mistake for what cannot be run, drawn or decided, before the work."""
    check_figures(config)
    check_claims(config.claims, FAMILY, config)
    for name, run in config.runs.items():
        with named(name):
            check_run(run, config.seeds.all)


def run_and_write(config: SimConfig, folder: Path, say: Callable[[str], None]) -> None:
    """Run what is missing; write figures, curves.csv, runs.csv, findings.csv and claims.json."""
    check_study(config)
    rules = read_rules()
    study = Study(config, run_study(config, folder / "paths"), rules)
    _write_table(folder / "curves.csv", curves_table(config, study.paths))
    _write_table(folder / "runs.csv", runs_table(study))
    _write_table(folder / "findings.csv", findings_table(study))
    for name in config.figures:
        save_figure(FIGURES[name].draw(study), folder / name)
    gate = open_gate(study, folder) if config.claims else ""
    rows = [row for decision in decide(config.claims, study) for row in as_rows(decision, gate)]
    write_json(folder / "claims.json", {"rules": rules_hash(), "verdicts": rows})
    for row in rows:
        say(line(row))
    names = ", ".join(f"{name}.png" for name in config.figures)
    say(f"rules: {rules_hash()}; wrote {names} and tables to {folder}")


def as_rows(decision: Decision, gate: str) -> list[Mapping[str, Any]]:
    """Return a row per part: what was measured, and the word of the whole claim."""
    word = f"undecided ({gate})" if gate else decision.word
    return [
        {
            "claim": decision.claim,
            "variant": decision.variant,
            "verdict": word if part.rule else "reported",
            "what": what,
            "rule": part.rule,
            "effect": _known(part.effect),
            "low": _known(part.interval.low),
            "high": _known(part.interval.high),
        }
        for what, part in decision.parts
    ]


def _known(number: float) -> float | None:
    """Return what JSON can say: it has no nan."""
    return number if math.isfinite(number) else None


def line(row: Mapping[str, Any]) -> str:
    """Return a row as one line of text."""
    effect, low, high = (
        "unknown" if row[key] is None else f"{row[key]:.3f}" for key in ("effect", "low", "high")
    )
    interval = f"{effect} [{low}, {high}]"
    rule = f", {row['rule']}" if row["rule"] else ""
    return f"{row['claim']} | {row['variant']} | {row['what']}: {interval}{rule} | {row['verdict']}"


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with whole_file(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
