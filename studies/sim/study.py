"""One study from its config to files: figure, numbers, verdicts."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from analysis.figures import save_figure
from data_gen.files import whole_file, write_json
from studies.sim.config import SimConfig
from studies.sim.figures import draw
from studies.sim.runs import run_study
from studies.sim.verdicts import decide

Say = Callable[[str], None]


def describe(config: SimConfig) -> str:
    """What would be run."""
    return "\n".join(
        [
            f"{config.name}: {config.question}",
            f"seeds: {config.seeds.first} to {config.seeds.all.stop - 1}, {config.seeds.count} in all",
            *(f"{name}: {run}" for name, run in config.runs.items()),
            f"figure: {config.figure}",
            f"claims: {', '.join(config.claims) or 'none'}",
        ]
    )


def study(config: SimConfig, folder: Path, say: Say) -> None:
    """Run what is missing; write curves.csv, runs.csv, the figure and claims.json into the folder."""
    paths = run_study(config, folder / "paths")
    for name, table in (("curves", curves(paths)), ("runs", per_run(config, paths))):
        with whole_file(folder / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
    verdicts = decide(config, paths)
    write_json(folder / "claims.json", [asdict(verdict) for verdict in verdicts])
    for file in save_figure(draw(config, paths), folder / "figure"):
        say(f"wrote {file}")
    for verdict in verdicts:
        say(verdict.line())
