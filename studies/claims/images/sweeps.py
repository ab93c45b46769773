"""Runs that a claim needs: what is kept or there is read, what is missing is trained."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ground.endings import Mistake
from ground.reading import read_as, read_yaml
from studies.claims.asked import Asked
from studies.claims.images.compact import compact, geometry_file
from studies.claims.images.kept import KEPT, is_finished, is_kept, read_kept, read_run
from studies.claims.images.runs import Gates, ImageRun, ImageRuns
from studies.claims.listing import CONFIGS, Listed
from studies.many.folder import WHOLE, StudyFolder
from studies.many.local import cores, divide, launch, visible_gpus
from studies.many.study import PlannedRun, StudyConfig, read_study

Say = Callable[[str], None]
ENDED = ("done", "diverged")


def gates_of(family: str) -> Gates:
    """Return the gates of a file of rules. Raises Mistake for one that is missing."""
    file = CONFIGS / f"{family}.yaml"
    return read_as(Gates, read_yaml(file).get("gates", {}), f"{file.name}: gates")


def describe_sweeps(configs: Sequence[Path], asked: Asked) -> Iterator[str]:
    """Yield the plan of each study, of its missing runs alone: disk, evaluations, hours. Raises
    Mistake for a kept run that is damaged or of another config."""
    from studies.many.forecast import describe

    for path in configs:
        study, folder = _opened(path, asked)
        missing = [planned for planned in study.runs if not _is_there(study, planned, folder)]
        for planned in study.runs:
            if planned not in missing and not is_finished(folder, planned):
                read_kept(study, planned)
        yield f"{study.name}: {len(missing)} of {len(study.runs)} runs are missing"
        if missing:
            slots = divide(asked.slots, 1, visible_gpus(), cores())
            yield describe(replace(study, runs=tuple(missing)), folder, len(slots))


def runs_of(one: Listed, configs: Sequence[Path], asked: Asked, say: Say) -> ImageRuns:
    """Return all runs that a claim needs; those that are missing are run first.

    Raises Preempted when asked to stop, with all saved; Mistake if runs fail, but for those that
    diverge, which count.
    """
    found: list[ImageRun] = []
    for path in configs:
        study, folder = _opened(path, asked)
        _run_missing(path, study, folder, asked, say)
        found += [_read(study, planned, folder) for planned in study.runs]
    measure = partial(_with_code, one=one, runs=asked.runs, say=say)
    return ImageRuns(found, gates_of(one.family), _told(found), measure)


def _opened(path: Path, asked: Asked) -> tuple[StudyConfig, StudyFolder]:
    study = read_study(path)
    return study, StudyFolder(asked.runs / study.name)


def _is_there(study: StudyConfig, planned: PlannedRun, folder: StudyFolder) -> bool:
    return is_finished(folder, planned) or is_kept(study, planned)


def _run_missing(
    path: Path, study: StudyConfig, folder: StudyFolder, asked: Asked, say: Say
) -> None:
    missing = [planned for planned in study.runs if not _is_there(study, planned, folder)]
    if not missing:
        return
    folder.claim(study)
    _pass_over_kept(study, folder)
    say(f"{study.name}: {len(missing)} of {len(study.runs)} runs are missing")
    slots = divide(asked.slots, 1, visible_gpus(), cores())
    where = ("--config", str(path), "--runs", str(asked.runs))
    try:
        launch(study, folder, slots, where, say, asked.deadline)
    except Mistake:
        if not all(folder.state_of(one.name, one.plan) in ENDED for one in study.runs):
            raise


def _pass_over_kept(study: StudyConfig, folder: StudyFolder) -> None:
    """Record kept runs as done in the study's folder, so that no slot takes them."""
    for planned in study.runs:
        if is_kept(study, planned) and not is_finished(folder, planned):
            why = f"its tables are kept in {KEPT}"
            folder.run(planned.name).set_state(WHOLE, "done", plan=planned.plan, why=why)


def _read(study: StudyConfig, planned: PlannedRun, folder: StudyFolder) -> ImageRun:
    """Read a run: from its directory if it is there, else as it is kept."""
    read = is_finished(folder, planned)
    return read_run(study, planned, folder) if read else read_kept(study, planned)


def _with_code(run: ImageRun, one: Listed, runs: Path, say: Say) -> ImageRun:
    """Measure the code of a run in its last encoder block, beside the study's runs. Raises Mistake
    for a run of which only tables are kept."""
    folder = StudyFolder(runs / run.study)
    if not is_finished(folder, run.planned):
        kept = KEPT / run.study / run.name
        raise Mistake(
            f"{one.id}: {kept} has no table geometry, and the run is not in {folder.path}; remove "
            f"{kept}, and the run is trained again"
        )
    import pandas as pd

    from studies.geometry.asked import Asked as AskedOfCode
    from studies.geometry.command import geometry

    directory, numbers = folder.run(run.name), one.entry.numbers
    last = f"unet.down_blocks.{len(run.config.model.widths.channels) - 1}"
    asked = AskedOfCode(
        sites=(last,),
        levels=(numbers["level"],),
        steps=None,
        grid=int(numbers["grid"]),
        noise_seeds=int(numbers["noise_seeds"]),
        pooled=False,
        homology=False,
        swap=False,
        steer=(),
        umap=False,
        memory_mb=2048,
    )
    geometry([directory.path], asked, geometry_file(directory).parent, say)
    table = compact("geometry", pd.read_csv(geometry_file(directory)))
    return replace(run, tables={**run.tables, "geometry": table})


def _told(runs: Sequence[ImageRun]) -> str:
    """Return of how many runs of which studies and seeds a claim is decided."""
    names = dict.fromkeys(run.study for run in runs)
    parts = []
    for name in names:
        own = [run for run in runs if run.study == name]
        ended = sum(run.diverged for run in own)
        seeds = sorted({run.seed for run in own})
        text = f"{len(own)} runs of {name}, seeds {seeds[0]} to {seeds[-1]}"
        parts.append(text + (f", {ended} of them diverged" if ended else ""))
    return "; ".join(parts)
