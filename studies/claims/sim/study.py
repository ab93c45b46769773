"""Study from its config to files: numbers, figures, verdicts."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.figures.style import save_figure
from ground.files import whole_file, write_json
from studies.claims.registry import CLAIMS, check_claims, claims_of
from studies.claims.sim.config import SimConfig, named
from studies.claims.sim.figures import FIGURES, check_figures
from studies.claims.sim.gates import open_gate
from studies.claims.sim.rules import read_rules, rules_hash
from studies.claims.sim.runs import Study, check_run, run_study
from studies.claims.sim.summary import findings_table
from studies.claims.sim.tables import curves_table, runs_table
from studies.claims.told import as_rows, line

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


Rows = Sequence[Mapping[str, Any]]  # of verdicts, as `studies/claims/told.py` makes them


def run_and_write(
    config: SimConfig, folder: Path, say: Callable[[str], None]
) -> Mapping[str, Rows]:
    """Run what is missing; write figures, curves.csv, runs.csv, findings.csv and claims.json.

    Returns the rows of the verdicts by the id of the claim.
    """
    check_study(config)
    rules = read_rules()
    study = Study(config, run_study(config, folder / "paths"), rules)
    _write_table(folder / "curves.csv", curves_table(config, study.paths))
    _write_table(folder / "runs.csv", runs_table(study))
    _write_table(folder / "findings.csv", findings_table(study))
    for name in config.figures:
        save_figure(FIGURES[name].draw(study), folder / name)
    gate = open_gate(study, folder) if config.claims else ""
    found = {id: _decided(id, study, gate) for id in config.claims}
    rows = [row for own in found.values() for row in own]
    write_json(folder / "claims.json", {"rules": rules_hash(), "verdicts": rows})
    for row in rows:
        say(line(row))
    names = ", ".join(f"{name}.png" for name in config.figures)
    say(f"rules: {rules_hash()}; wrote {names} and tables to {folder}")
    return found


def _decided(id: str, study: Study, gate: str) -> Rows:
    return [row for decision in CLAIMS[id].decide(study) for row in as_rows(decision, gate)]


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with whole_file(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
