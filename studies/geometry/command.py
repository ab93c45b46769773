"""Command `scripts/geometry.py`: the inside of trained models, as tables and figures."""

from collections.abc import Callable, Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from analysis.figures.style import save_figure
from analysis.report.study import StudyReport
from diffusion.activations import main_sites
from diffusion.pipeline import ConceptPipeline
from diffusion.precision import allow_tf32
from diffusion.snapshots import find_snapshot
from ground.endings import Mistake
from ground.files import write_text
from studies.drawing.generate import chosen_steps
from studies.geometry.asked import Asked
from studies.geometry.collected import Collected
from studies.geometry.figures import geometry_figures
from studies.geometry.holes import enough_points, has_surface
from studies.geometry.maps import umap_class
from studies.geometry.page import geometry_report
from studies.geometry.readings import ReadingSettings, site_widths
from studies.geometry.steers import check_places
from studies.geometry.verdicts import changes, swap_answers, verdict_lines, verdicts
from studies.run.opened import Experiment
from studies.run_sets.discovery import members_in
from studies.worlds.condition_grid import ConditionGrid

Say = Callable[[str], None]


def geometry(paths: Sequence[Path], asked: Asked, out: Path, say: Say) -> StudyReport:
    """Measure runs and write `out`/*.csv, .png and .pdf; return the page of them.

    NumPy's linear algebra gets one thread: its threads wait awake for each other, so that beside
    other programs two take far longer than one. Raises Mistake for runs of different worlds, a site
    that does not exist, levels or steps that are not there, and too little memory.
    """
    experiments, grid = _opened(paths, asked)
    steps = _steps(experiments, asked)
    out.mkdir(parents=True, exist_ok=True)
    collected = Collected(asked, grid, steps, out)
    total = len(experiments) * len(steps) * asked.noise_seeds * len(grid.prompts)
    with threadpool_limits(1, "blas"), tqdm(total=total, unit="condition", disable=None) as bar:
        for experiment in experiments:
            collected.add_run(experiment, bar.update)
    frames = collected.frames()
    changed = changes(frames["geometry"], frames.get("left_out"))
    frames["verdicts"] = verdicts(frames["geometry"], changed, grid)
    if len(changed):
        frames["changes"] = changed
    if asked.swap:
        frames["swap_answers"] = swap_answers(frames["swaps"])
    for line in verdict_lines(frames):
        say(line)
    for name, frame in frames.items():
        write_text(out / f"{name}.csv", frame.to_csv(index=False))
    figures = geometry_figures(frames, grid)
    for name, figure in figures.items():
        save_figure(figure, out / name)
        say(f"wrote {out / name}.png")
    names = [experiment.run.path.name for experiment in experiments]
    title = paths[0].resolve().name if len(paths) == 1 else ", ".join(names)
    return geometry_report(frames, figures, title, names)


def list_sites(paths: Sequence[Path], say: Say) -> None:
    """Print the main sites of the first run's last snapshot, each with how many numbers it has."""
    experiment = Experiment.of_run(members_in(paths)[0].run)
    allow_tf32(experiment.config.train.tf32)
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
    if (asked.swap or asked.steer) and not has_surface(grid):
        flag = "--swap" if asked.swap else "--steer"
        raise Mistake(f"{flag}: allowed for runs on bumps, whose centres are read to a pixel")
    check_places(asked.steer, grid)
    if asked.umap:
        umap_class()
    if asked.homology and has_surface(grid) and not enough_points(grid):
        raise Mistake(
            f"--grid: got {asked.grid}, which are {len(grid.prompts)} points; allowed from 15, "
            f"since homology needs 200, or --no-homology"
        )
    return experiments, grid


def _steps(experiments: Sequence[Experiment], asked: Asked) -> list[int]:
    """Return the steps that all runs have a snapshot of, in order; of those not asked for any, the
    last, and 0, which tells what is learned."""
    each = [set(chosen_steps(experiment.run, asked.steps)) for experiment in experiments]
    common = sorted(set.intersection(*each))
    if common and asked.steps is None:
        there = [chosen_steps(experiment.run, "all") for experiment in experiments]
        common = sorted({*common, *({0} if all(0 in steps for steps in there) else ())})
    if not common:
        raise Mistake("--steps: the runs have no step in common; give steps that all of them have")
    return common
