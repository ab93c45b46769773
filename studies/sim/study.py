"""One study from its config to files: numbers, figures, verdicts."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.style import save_figure
from data_gen.endings import Mistake
from data_gen.files import whole_file, write_json
from studies.sim.claims import CLAIMS
from studies.sim.config import SimConfig, Trained
from studies.sim.figures import FIGURES, check_figure
from studies.sim.findings import Finding, Study
from studies.sim.gates import open_gate
from studies.sim.rules import Rules, check_claims, read_rules, rules_hash
from studies.sim.runs import run_study
from studies.sim.summary import findings_table
from studies.sim.tables import curves_table, runs_table
from theory.settings import Setting, check_settings

Say = Callable[[str], None]


def describe(config: SimConfig) -> str:
    """What would be run."""
    seeds = config.seeds
    lines = [
        f"{config.name}: {config.question}",
        f"seeds: {seeds.first} to {seeds.all.stop - 1}, {seeds.count} in all",
        *(f"{name}: {run}" for name, run in config.runs.items()),
        f"figures: {', '.join(config.figures)}",
        f"claims: {', '.join(config.claims) or 'none'}",
    ]
    return "\n".join(lines)


def check_study(config: SimConfig, rules: Rules) -> None:
    """Raises Mistake for what cannot be run, drawn or decided, before the work."""
    check_claims(config.claims, rules)
    for figure in config.figures:
        check_figure(figure, config)
    for run in config.runs.values():
        if isinstance(run, Trained):
            check_settings([Setting(run.task, run.network, run.training)])


def run_and_write(config: SimConfig, folder: Path, say: Say) -> None:
    """Run what is missing; write figures, curves.csv, runs.csv, findings.csv and claims.json."""
    rules = read_rules()
    check_study(config, rules)
    study = Study(config, run_study(config, folder / "paths"), rules)
    _write_table(folder / "curves.csv", curves_table(config, study.paths))
    _write_table(folder / "runs.csv", runs_table(study))
    _write_table(folder / "findings.csv", findings_table(study))
    for name in config.figures:
        save_figure(FIGURES[name](study), folder / name)
    gate = open_gate(study, folder)
    rows = [row for finding in findings(study) for row in as_rows(finding, gate)]
    write_json(folder / "claims.json", {"rules": rules_hash(), "verdicts": rows})
    for row in rows:
        say(line(row))
    names = ", ".join(f"{name}.png" for name in config.figures)
    say(f"rules: {rules_hash()}; wrote {names} and tables to {folder}")


def findings(study: Study) -> list[Finding]:
    return [finding for claim in study.config.claims for finding in _decided(claim, study)]


def _decided(claim: str, study: Study) -> list[Finding]:
    try:
        return CLAIMS[claim](study)
    except KeyError as error:
        raise Mistake(f"claims: {claim} is decided from a variant {error}; there is none") from None


def as_rows(finding: Finding, gate: str) -> list[Mapping[str, Any]]:
    """A row per part: what was measured, and the word of the whole claim."""
    word = f"undecided ({gate})" if gate else finding.word
    return [
        {
            "claim": finding.claim,
            "variant": finding.variant,
            "verdict": word if part.rule else "reported",
            "what": what,
            "rule": part.rule,
            "effect": part.effect,
            "low": part.interval.low,
            "high": part.interval.high,
        }
        for what, part in finding.parts
    ]


def line(row: Mapping[str, Any]) -> str:
    """A row as one line of text."""
    interval = f"{row['effect']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    rule = f", {row['rule']}" if row["rule"] else ""
    return f"{row['claim']} | {row['variant']} | {row['what']}: {interval}{rule} | {row['verdict']}"


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with whole_file(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
