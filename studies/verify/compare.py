"""Comparison of two runs: where they part in settings, then rows, ranks, tensors and samples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from diffusion.snapshots import THINNED, step_directory, steps_in, thinned_steps
from ground.endings import Mistake
from ground.files import MANIFEST, damage, read_json, read_rows
from studies.experiment.config import to_dict
from studies.experiment.identity import differences, identity
from studies.run.directory import RunDir
from studies.run.samples import load_samples
from studies.verify.log_checks import wrong_ranks, wrong_rows
from studies.verify.tensor_differences import weights_difference

Rows = dict[int, dict[str, Any]]  # by step
Remarks = Iterator["Difference"]


@dataclass(frozen=True)
class Difference:
    """Difference on one line. Settings alone do not part two runs: they may hold the same all the
    same."""

    line: str
    parts: bool = True


def compare(first: Path, second: Path) -> list[Difference]:
    """Return all that differs, in the order in which it came about; then, if nothing parts, a sum.

    Raises Mistake if one of the runs is none, or if a file is damaged, which it names.
    """
    a, b = RunDir(first), RunDir(second)
    found = [*setting_differences(a, b), *row_differences(a, b), *rank_differences(a, b)]
    for name in ("snapshots", "state"):
        found += step_differences(a.path / name, b.path / name)
    found += sample_differences(a.samples, b.samples)
    if not any(difference.parts for difference in found):
        found.append(Difference(_sum(a, b), parts=False))
    return found


def _sum(a: RunDir, b: RunDir) -> str:
    """Return what was compared and found equal; scores follow from samples and probe, and are
    not."""
    rows = _metrics(a).keys() & _metrics(b).keys()
    snapshots, states = (_common(a.path / n, b.path / n) for n in ("snapshots", "state"))
    thinned = {*thinned_steps(a.snapshots), *thinned_steps(b.snapshots)} & {*snapshots}
    note = f" ({len(thinned)} thinned out, by their manifests)" if thinned else ""
    return (
        f"the runs are identical in {len(rows)} rows, {len(snapshots)} snapshots{note}, "
        f"{len(states)} states and the samples of both; scores are not compared"
    )


def setting_differences(a: RunDir, b: RunDir) -> Iterator[Difference]:
    """Yield differences of the configs, what makes another experiment first; then of the
    environments."""
    old, new = a.read_config(), b.read_config()
    first = differences(identity(old), identity(new))
    rest = [line for line in differences(to_dict(old), to_dict(new)) if line not in first]
    environment = [f"env.{line}" for line in differences(_environment(a), _environment(b))]
    for line in first + rest + environment:
        yield Difference(line, parts=False)


def _environment(run: RunDir) -> Any:
    path = run.path / "env.json"
    facts = read_json(path) if path.exists() else {}
    return {key: value for key, value in facts.items() if key != "before"}


def row_differences(a: RunDir, b: RunDir) -> Iterator[Difference]:
    """Yield the first row of metrics.jsonl that differs, with its columns that do; then rows of one
    run alone."""
    old, new = _metrics(a), _metrics(b)
    for step in sorted(old.keys() & new.keys()):
        columns = [key for key in old[step] | new[step] if old[step].get(key) != new[step].get(key)]
        if columns:
            told = [key for key in columns if "/" not in key] or columns  # a loss without its parts
            changes = [_change(key, old[step].get(key), new[step].get(key)) for key in told]
            yield Difference(
                f"metrics.jsonl: step {step} is the first to differ: {'; '.join(changes)}"
            )
            break
    yield from _missing_rows("metrics.jsonl", (a, old), (b, new))


def _missing_rows(name: str, first: tuple[RunDir, Rows], second: tuple[RunDir, Rows]) -> Remarks:
    """Yield how many steps have a row in one run alone, and the first of them."""
    for (run, rows), (_, others) in ((first, second), (second, first)):
        alone = sorted(rows.keys() - others.keys())
        if alone:
            count = f"{len(alone)} step{'s' if len(alone) > 1 else ''} from {alone[0]} on"
            yield Difference(f"{name}: only {run.path} has rows of {count}")


def _metrics(run: RunDir) -> Rows:
    return _rows(run.path / "metrics.jsonl", wrong_rows)


def _ranks(run: RunDir) -> Rows:
    return _rows(run.path / "ranks.jsonl", lambda rows: wrong_ranks(rows, [], 0))


def _rows(path: Path, wrong: Callable[[Sequence[Mapping[str, Any]]], str]) -> Rows:
    """Return {step: row}, empty if there is no such file."""
    rows = read_rows(path) if path.exists() else []
    if wrong(rows):
        raise Mistake(f"{path}: {wrong(rows)}; {_remedy(path.parent)}")
    return {row["step"]: row for row in rows}


def _remedy(run: Path) -> str:
    return f"scripts/verify.py --run {run} names all that is damaged"


def _change(name: str, old: Any, new: Any) -> str:
    """Return text such as 'loss 0.5 → 0.4 (relative difference 2.0e-01)'."""
    numbers = isinstance(old, int | float) and isinstance(new, int | float) and old != 0
    relative = f" (relative difference {abs(new - old) / abs(old):.1e})" if numbers else ""
    return f"{name} {old} → {new}{relative}"


def rank_differences(a: RunDir, b: RunDir) -> Iterator[Difference]:
    """Yield the first process with another share of its batch, and the first with another loss."""
    old, new = _ranks(a), _ranks(b)
    common = sorted(old.keys() & new.keys())
    for step in common:
        sizes = [len(rows[step]["loss"]) for rows in (old, new)]
        if sizes[0] != sizes[1]:
            what = f"{sizes[0]} and {sizes[1]} processes at step {step}"
            yield Difference(f"ranks.jsonl: {what}: ranks cannot be compared", parts=False)
            return
    if old and new:  # older runs have none
        yield from _missing_rows("ranks.jsonl", (a, old), (b, new))
    for key in ("draw", "loss"):
        for step in [step for step in common if old[step][key] != new[step][key]][:1]:
            pairs = list(zip(old[step][key], new[step][key], strict=True))
            rank = next(rank for rank, (x, y) in enumerate(pairs) if x != y)
            change = _change(key, *pairs[rank])
            yield Difference(
                f"ranks.jsonl: step {step}, rank {rank} is the first to differ: {change}"
            )


def _common(a: Path, b: Path) -> list[int]:
    return sorted({*steps_in(a)} & {*steps_in(b)})


def step_differences(a: Path, b: Path) -> Iterator[Difference]:
    """Yield the first common step that differs of two folders of snapshots or states; then
    snapshots of one run alone."""
    for step in tqdm(_common(a, b), desc=a.name, unit="step", disable=None):
        line = _step_difference(step_directory(a, step), step_directory(b, step))
        if line:
            yield Difference(f"{a.name}/{step_directory(a, step).name}: {line}")
            break
    for here, there in ((a, b), (b, a)):
        alone = sorted({*steps_in(here)} - {*steps_in(there)})
        if alone and here.name == "snapshots":  # only the last two states are kept
            yield Difference(
                f"snapshots: only {here.parent} has steps {', '.join(map(str, alone))}"
            )


def _step_difference(a: Path, b: Path) -> str:
    """Return what differs between two directories with manifests, or nothing."""
    old, new = _hashes(a), _hashes(b)
    files = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    files = [name for name in files if name != "progress.json"]  # follows metrics.jsonl
    alike = [name for name in files if (a / name).exists() and (b / name).exists()]
    weights = [name for name in alike if name.endswith(".safetensors")]
    lines = [weights_difference(a, b, weights)] if weights else []
    lines += [f"{name} differs" for name in files if name not in weights]
    return "; ".join(lines)


def _hashes(path: Path) -> dict[str, str]:
    if (path / THINNED).exists():
        return read_json(path / THINNED)["sha256"]
    what = damage(path)
    if what:
        raise Mistake(f"{path}: {what}; {_remedy(path.parent.parent)}")
    return read_json(path / MANIFEST)["sha256"]


def sample_differences(a: Path, b: Path) -> Iterator[Difference]:
    """Yield how many of the files of images that both have differ, and the first image that
    does."""
    names = [str(path.relative_to(a)) for path in sorted(a.glob("*/[!.]*.npz"))]
    common = [name for name in names if (b / name).exists()]
    lines = [line for line in (_sample_difference(a, b, name) for name in common) if line]
    if lines:
        yield Difference(f"samples: {len(lines)} of {len(common)} common files differ; {lines[0]}")


def _sample_difference(a: Path, b: Path, name: str) -> str:
    old, new = load_samples(a / name), load_samples(b / name)
    if old.shape != new.shape:
        return f"{name}: images {old.shape} → {new.shape}"
    other = (old != new).reshape(old.shape[0] * old.shape[1], -1).any(axis=1)
    if not other.any():
        return ""
    first = int(np.argmax(other))
    with np.load(a / name) as stored:
        prompt = str(stored["prompt"][first])
    where = f"image {first} ({prompt!r}, sample {first % old.shape[1]})"
    return f"{name}: {other.sum()} of {len(other)} images, the first is {where}"
