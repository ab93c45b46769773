"""Verification of whole runs: what `verify` checks is the list of its steps in `verify()`.

Snapshots, states, frozen encoders and the probe are hashed file by file; logs, samples and parts of
the scores are opened and checked. Figures and reports are not looked at. Nothing is changed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from classifiers.scores import read_part
from diffusion.snapshots import step_directory, steps_in
from ground.endings import Mistake
from ground.files import damage, read_json, read_rows
from studies.experiment.config import Config, snapshot_steps
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import make_plans
from studies.run.provenance import OUTDATED, is_outdated
from studies.run.samples import load_samples
from studies.run.tables import read_part_rows
from studies.scoring.units import make_jobs, planned_parts
from studies.verify.denoiser_checks import denoiser_parts, wrong_denoiser_parts
from studies.verify.log_checks import is_torn, wrong_metrics, wrong_ranks
from studies.verify.origin_checks import hidden_hashes, origins
from studies.verify.remarks import Level, Looking, Remark, Remarks, damaged, read_mapping, readable
from studies.verify.score_checks import (
    is_sampled_for,
    overlapping,
    unknown_to_older_versions,
    wrong_part,
)
from studies.verify.weight_checks import Hashes, directories, equal_weights, finite

SECTIONS = ("world", "train", "evaluate")  # of config.yaml; evaluate is its last


def verify_runs(paths: Sequence[Path], say: Callable[[str], None]) -> None:
    """Say what is found in each run. Raises Mistake if anything is damaged, missing or stale."""
    if not paths:
        raise Mistake("--run: missing; give a run directory, or several")
    broken = []
    for run in [RunDir(path) for path in paths]:
        remarks = list(verify(run))
        for remark in remarks:
            say(remark.line())
        say(summary(run, remarks))
        broken += [str(run.path)] if _count(remarks) else []
    if broken:
        raise Mistake(f"not whole: {', '.join(broken)} ({len(broken)} of {len(paths)} runs)")


def summary(run: RunDir, remarks: Sequence[Remark]) -> str:
    counts = {
        "snapshots": len(steps_in(run.snapshots)),
        "states": len(steps_in(run.states)),
        "scored parts": len(_parts(run)),
    }
    held = ", ".join(f"{n} {name}" for name, n in counts.items())
    return f"{run.path}: {held}: {_count(remarks) or 'all whole'}"


def _count(remarks: Sequence[Remark]) -> str:
    """Return text such as '2 damaged, 1 missing', or nothing."""
    levels = [remark.level for remark in remarks]
    counts = {level: levels.count(level) for level in ("damaged", "missing", "stale")}
    return ", ".join(f"{n} {level}" for level, n in counts.items() if n)


def verify(run: RunDir) -> Remarks:
    """Yield all remarks on one run. Raises Mistake if it is none."""
    begun = run.snapshots.exists() or (run.states).exists()
    if not begun and not run.config_file.exists():
        run.read_config()  # raises its Mistake
    config = yield from _config(run)
    facts = yield from _facts(run, config, begun)
    status = facts.get("status", {})
    hashes = yield from directories(run)
    for path in sorted((run.snapshots / "frozen").glob("[!.]*")):
        yield from damaged(path, damage(path) or "")
    if config is None or config.train.learning_rate > 0:
        yield from equal_weights(hashes)
    yield from finite(run, hashes)
    progress = _progress(run, hashes)
    if begun:
        yield from _rows(run, config, progress)
    if config:
        done = _is(status, "train", "done")
        trained_to = config.train.max_steps if done else progress["step"]
        yield from _planned_snapshots(run, config, trained_to)
    yield from _evaluation(run, config, _is(status, "evaluate", "done"))
    yield from origins(run, hashes, facts.get("sampler_certificate", {}))
    yield from _leftovers(run, status)


def _config(run: RunDir) -> Looking:
    config = yield from readable(run.config_file, lambda path: run.read_config())
    if config:
        text = "\n" + run.config_file.read_text(encoding="utf-8")
        absent = [name for name in SECTIONS if f"\n{name}:" not in text]
        if absent:
            yield Remark("damaged", run.config_file, f"has no section {absent[0]!r}: cut off?")
            return None
    return config


def _facts(run: RunDir, config: Config | None, begun: bool) -> Looking:
    """Return what env.json, status.json and, where there are such, lineage.json (it has to be there
    if the run is fine-tuned) and sampler_certificate.json hold."""
    tuned = config is not None and config.train.init_from.run is not None
    expected = {"env": begun, "status": begun, "lineage": begun and tuned}
    expected["sampler_certificate"] = False
    facts = {}
    for name, needed in expected.items():
        path = run.path / f"{name}.json"
        if needed or path.exists():
            facts[name] = yield from read_mapping(path)
    return facts


def _progress(run: RunDir, hashes: Hashes) -> dict[str, Any]:
    """Return progress.json of the last whole state."""
    files = [path / "progress.json" for path in hashes if path.parent == run.states]
    there = [file for file in files if file.exists()]  # a run at work removes its oldest
    return read_json(there[-1]) if there else {"step": 0, "rows_written": 0}


def _rows(run: RunDir, config: Config | None, progress: Mapping[str, Any]) -> Remarks:
    metrics, ranks, timings = (run.path / f"{n}.jsonl" for n in ("metrics", "ranks", "timings"))
    rows = yield from readable(metrics, read_rows)
    if rows:
        yield from readable(timings, read_rows)
    if rows is not None and config:
        what = wrong_metrics(metrics, rows, progress, config.train.log_every)
        yield from damaged(metrics, what)
        rows = [] if what else rows
    if ranks.exists() or "metrics_sha256" in progress:  # older runs have none
        shares = yield from readable(ranks, read_rows)
        what = wrong_ranks(shares, rows or [], progress["step"]) if shares is not None else ""
        yield from damaged(ranks, what)
    for path in filter(Path.exists, (metrics, ranks, timings)):
        if is_torn(path):
            yield Remark("note", path, "its last line is torn; a continued run writes it again")


def _planned_snapshots(run: RunDir, config: Config, trained_to: int) -> Remarks:
    """Yield what is not there: training never goes back behind its last state, so it will not
    come."""
    absent = sorted({*snapshot_steps(config)} - {*steps_in(run.snapshots)})
    for step in [step for step in absent if step <= trained_to]:
        yield Remark("missing", step_directory(run.snapshots, step), "planned by train.snapshots")
    to_come = [str(step) for step in absent if step > trained_to]
    if to_come:
        yield Remark("note", run.snapshots, f"to come: steps {', '.join(to_come)}")


def _evaluation(run: RunDir, config: Config | None, done: bool) -> Remarks:
    for path in sorted(run.samples.glob("*/[!.]*.npz")):
        yield from readable(path, load_samples)
    others = {*run.path.glob("*.parquet/[!.]*.parquet")} - {*_parts(run), *denoiser_parts(run)}
    for path in sorted(others):
        yield from readable(path, read_part_rows)
    yield from wrong_denoiser_parts(run)
    yield from _scores(run, config, (yield from _num_prompts(run, config)))
    certificate = yield from _certificate(run)
    planned = []
    if config and certificate:
        experiment = Experiment(config, run)
        experiment.certificate = certificate
        yield from _planned_parts(experiment, done)
        planned = [job.samples for job in make_jobs(experiment)]
    names = [path.name for path in _parts(run)]
    for path in sorted({*run.samples.glob("*/[!.]*.npz")} - {*planned}):
        if not is_sampled_for(path, names):
            what = "no scores of it; scripts/evaluate.py with its settings makes them"
            yield Remark("missing" if done else "note", path, what)


def _num_prompts(run: RunDir, config: Config | None) -> Looking:
    """Return how many prompts the captions and every set have that the run has asked or plans, by
    name."""
    asked = None
    if run.prompts.exists():
        asked = yield from readable(run.prompts, lambda path: run.read_prompts())
    if config is None:
        return {}
    prompts = {**(asked or {}), **config.evaluate.prompts}
    try:
        everything = replace(config, evaluate=replace(config.evaluate, prompts=prompts))
        questions = Experiment(everything, run).exam.questions
        return {name: len(own) for name, own in questions.items()}
    except Mistake as mistake:  # the config alone was checked when it was read
        yield Remark("damaged", run.prompts, str(mistake))
        return {}


def _scores(run: RunDir, config: Config | None, prompts: Mapping[str, int]) -> Remarks:
    uneven = config is not None and config.terms.uneven
    for path in _parts(run):
        table = yield from readable(path, read_part)
        if table is not None:
            yield from damaged(path, wrong_part(path.name, table, prompts, uneven))
            if is_outdated(path):
                yield Remark("note", path, OUTDATED)
    for path in overlapping(_parts(run)):
        what = "its images are part of another of the same settings; read_run_scores has them once"
        yield Remark("note", path, what)
    yield from hidden_hashes(run)


def _parts(run: RunDir) -> list[Path]:
    return sorted(run.scores.glob("[!.]*.parquet"))


def _certificate(run: RunDir) -> Looking:
    """Return the probe's certificate; None if there is no whole probe."""
    if not run.probe.exists():
        level: Level = "missing" if _parts(run) or run.probe.is_symlink() else "note"
        what = "not there; if the run was copied, copy the folder of runs with its .shared/ too"
        yield Remark(level, run.probe, "to come" if level == "note" else what)
        return None
    what = damage(run.probe) or ""
    yield from damaged(run.probe, what)
    return None if what else read_json(run.probe / "certificate.json")


def _planned_parts(experiment: Experiment, done: bool) -> Remarks:
    """Yield planned parts that are not there. `done` may be said of an evaluation with other
    settings, which left no part of these."""
    run, config, probe = experiment.run, experiment.config, experiment.probe_name
    parts = planned_parts(experiment)
    absent = [part for part in parts if not part.is_file()]
    own = [plan.part(run, probe) for plan in make_plans(config)]
    if done and absent and {*absent} <= {*unknown_to_older_versions(experiment)}:
        more = f" and {len(absent) - 1} others" if len(absent) > 1 else ""
        what = f"not there{more}, as in runs of older versions; scripts/evaluate.py makes it"
        yield Remark("note", absent[0], what)
    elif done and (not _parts(run) or any(part.is_file() for part in own)):
        for part in absent:
            yield Remark("missing", part, "planned by evaluate; scripts/evaluate.py makes it")
    elif absent:
        yield Remark("note", run.scores, f"to come: {len(absent)} of {len(parts)} parts")
    for plan in make_plans(config):
        samples = plan.samples_file(run)
        if plan.part(run, probe).is_file() and not samples.is_file():
            yield Remark("missing", samples, "scored, but not there; move its scores away too")


def _leftovers(run: RunDir, status: Mapping[str, Any]) -> Remarks:
    held = [name for name in ("train", "evaluate") if run.is_held(name)]
    for writer in status:
        if _is(status, writer, "running") and writer not in held:
            what = f"{writer} is said to be running, but its process has died"
            yield Remark("note", run.path / "status.json", what)
    for path in sorted(run.path.rglob("*.broken-*")):
        yield Remark("note", path, "moved aside: damaged, or of a training that was abandoned")
    unfinished = [*run.path.rglob(".*.tmp*"), *run.path.glob(".*.reserve")]
    for path in sorted(unfinished) if not held else ():
        yield Remark("note", path, "left behind by a writer that was killed")
    for path in sorted(run.samples.glob("*/*.tiles")) if "evaluate" not in held else ():
        what = "drawn so far for an evaluation that is not finished; the same command goes on"
        yield Remark("note", path, what)


def _is(status: Mapping[str, Any], writer: str, state: str) -> bool:
    entry = status.get(writer)
    return isinstance(entry, dict) and entry.get("state") == state
