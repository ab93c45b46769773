"""Command `scripts/geometry.py`: the inside of trained models, as tables and figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pandas as pd
from tqdm import tqdm

from analysis.figures.style import save_figure
from diffusion.activations import main_sites
from diffusion.denoised import Level
from diffusion.pipeline import ConceptPipeline
from diffusion.snapshots import find_snapshot
from ground.endings import Mistake
from ground.files import write_text
from studies.drawing.generate import chosen_steps
from studies.geometry.figures import geometry_figures
from studies.geometry.measured import (
    displacement_rows,
    enough_points,
    geometry_rows,
    has_surface,
    homology_row,
    ideal_rows,
    readouts,
    spectrum_rows,
)
from studies.geometry.readings import Readings, ReadingSettings, read_snapshot, site_widths
from studies.geometry.swaps import Swaps
from studies.geometry.verdicts import swap_answers, verdict_lines, verdicts
from studies.run.opened import Experiment
from studies.run_sets.discovery import members_in
from studies.worlds.condition_grid import ConditionGrid

Say = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What the command line asks for, as its flags say."""

    sites: Sequence[str]
    levels: Sequence[float]
    steps: Sequence[int] | Literal["all"] | None
    grid: int
    noise_seeds: int
    pooled: bool
    homology: bool
    swap: bool
    memory_mb: int


@dataclass
class Tables:
    """Rows of every table, by its name, as they are found."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, name: str, rows: Sequence[dict[str, Any]], **about: Any) -> None:
        self.rows.setdefault(name, []).extend({**about, **row} for row in rows)

    def frames(self) -> dict[str, pd.DataFrame]:
        return {name: pd.DataFrame(rows) for name, rows in self.rows.items()}


def geometry(paths: Sequence[Path], asked: Asked, out: Path, say: Say) -> None:
    """Measure runs and write `out`/*.csv, .png and .pdf.

    Raises Mistake for runs of different worlds, a site that does not exist, levels or steps that
    are not there, and too little memory.
    """
    experiments, grid = _opened(paths, asked)
    steps = _steps(experiments, asked)
    out.mkdir(parents=True, exist_ok=True)
    tables = Tables()
    total = len(experiments) * len(steps) * asked.noise_seeds * len(grid.prompts)
    with tqdm(total=total, unit="condition", disable=None) as bar:
        for experiment in experiments:
            for step in steps:
                _measure(experiment, step, step == steps[-1], asked, grid, out, tables, bar.update)
    frames = tables.frames()
    frames["verdicts"] = verdicts(frames["geometry"], grid)
    if asked.swap:
        frames["swap_answers"] = swap_answers(frames["swaps"])
    for line in verdict_lines(frames):
        say(line)
    for name, frame in frames.items():
        write_text(out / f"{name}.csv", frame.to_csv(index=False))
    for name, figure in geometry_figures(frames).items():
        save_figure(figure, out / name)
        say(f"wrote {out / name}.png")


def list_sites(paths: Sequence[Path], say: Say) -> None:
    """Print the main sites of the first run's last snapshot, each with how many numbers it has."""
    experiment = Experiment.of_run(members_in(paths)[0].run)
    model = ConceptPipeline.load(
        find_snapshot(experiment.run.snapshots, None), experiment.config.evaluate.weights
    )
    names = main_sites(model.denoiser())
    prompt = experiment.world.condition_grid(2).prompts[0]
    for pooled in (False, True):
        settings = ReadingSettings(names, (), 1, pooled, 0, 0)
        widths = site_widths(model, prompt, settings)
        say("with --pooled:" if pooled else "numbers of each site:")
        for name in names:
            say(f"  {name} {widths[name]}")
    say("any other module by its name, such as unet.mid_block.resnets.0")


def _opened(paths: Sequence[Path], asked: Asked) -> tuple[list[Experiment], ConditionGrid]:
    members = members_in(paths)
    experiments = [Experiment.of_run(member.run).named(member.name) for member in members]
    first = experiments[0]
    for other in experiments:
        if other.exam.identity != first.exam.identity:
            raise Mistake(
                f"--run: {other.run.path} is of another world than {first.run.path}; "
                f"measure them apart"
            )
    grid = first.world.condition_grid(asked.grid)
    if asked.swap and not has_surface(grid):
        raise Mistake("--swap: allowed for runs on bumps, whose centres are read to a pixel")
    if asked.homology and has_surface(grid) and not enough_points(grid):
        raise Mistake(
            f"--grid: got {asked.grid}, which are {len(grid.prompts)} points; allowed from 15, "
            f"since homology needs 200, or --no-homology"
        )
    return experiments, grid


def _steps(experiments: Sequence[Experiment], asked: Asked) -> list[int]:
    """Return the steps that all runs have a snapshot of."""
    each = [chosen_steps(experiment.run, asked.steps) for experiment in experiments]
    common = sorted(set.intersection(*map(set, each)))
    if not common:
        raise Mistake("--steps: the runs have no step in common; give steps that all of them have")
    return common


def _measure(
    experiment: Experiment,
    step: int,
    last: bool,
    asked: Asked,
    grid: ConditionGrid,
    out: Path,
    tables: Tables,
    progress: Callable[[int], object],
) -> None:
    """Add the rows of one snapshot. last: of the steps, of which displacements have ideals."""
    config = experiment.config
    directory = find_snapshot(experiment.run.snapshots, step)
    model = ConceptPipeline.load(directory, config.evaluate.weights)
    sites = tuple(asked.sites) or tuple(main_sites(model.denoiser()))
    settings = ReadingSettings(
        sites, asked.levels, asked.noise_seeds, asked.pooled, asked.memory_mb, config.evaluate.seed
    )
    about = {
        "run": experiment.label,
        "step": step,
        "images_seen": step * config.train.batch_size,
        "weights": config.evaluate.weights,
    }
    with TemporaryDirectory(dir=out, prefix=".activations.") as folder:
        readings = read_snapshot(model, grid.prompts, settings, Path(folder), progress)
        for site in sites:
            for level, found in readings.levels.items():
                _add_rows(readings, site, level, found, last, asked, grid, tables, about)
        if asked.swap:
            swaps = Swaps(experiment, model, grid, config.evaluate.seed)
            for site in sites:
                tables.add("swaps", swaps.rows(site, readings), **about)


def _add_rows(
    readings: Readings,
    site: str,
    level: float,
    found: Level,
    last: bool,
    asked: Asked,
    grid: ConditionGrid,
    tables: Tables,
    about: dict[str, Any],
) -> None:
    codes = readings.codes(site, level)
    own = {**about, "site": site, "level": level, "alpha_bar": found.alpha_bar}
    shape = {"noise_seeds": len(codes), "conditions": codes.shape[1], "width": codes.shape[2]}
    measured = list(geometry_rows(codes, grid))
    tables.add("geometry", [row for row, _ in measured], **own, **shape)
    r2 = [{"feature": name, "r2": value} for name, value in readouts(codes, grid).items()]
    tables.add("readouts", r2, **own)
    tables.add("spectra", spectrum_rows(codes), **own)
    tables.add("displacements", displacement_rows(codes, grid), **own)
    noise = measured[0][1].noise
    if last and noise == noise:  # nan: nothing but noise
        ideals = ideal_rows(grid, len(codes), codes.shape[2], noise)
        tables.add("displacements", ideals, **own)
    if asked.homology and has_surface(grid):
        tables.add("homology", [homology_row(codes)], **own)
