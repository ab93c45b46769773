"""Every kind of damage to a run is named, every kind of file in turn; a whole run is whole."""

import fcntl
import json
import re
import runpy
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from classifiers.certificate import load_probe
from classifiers.scores import part_bytes, read_facts, read_part, write_part
from diffusion.snapshots import step_directory, thin
from ground.endings import Mistake
from ground.files import (
    hash_rows,
    hashes,
    read_json,
    write_directory,
    write_json,
)
from studies import stages
from studies.experiment.config import read_config
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.provenance import STALE
from studies.run.samples import load_samples
from studies.verify.log_checks import wrong_metrics, wrong_ranks
from studies.verify.remarks import Remark
from studies.verify.verify import summary, verify, verify_runs
from studies.verify.weight_checks import equal_weights

pytestmark = pytest.mark.usefixtures("tiles_of_eight")

STEP = "snapshots/step_00000002"
PROBE_PART, ORACLE_PART = "*-n[0-9]-[!o]*.parquet", "*-oracle.parquet"  # after the step
STATE = "state/step_00000004"
EMA = "unet/diffusion_pytorch_model.ema.safetensors"
ROWS = [{"step": t, "loss": 0.5} for t in range(1, 5)]
RANKS = [{"step": t, "draw": ["0123abcd"] * 2, "loss": [0.4, 0.6]} for t in range(1, 5)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, root) -> RunDir:
    """A run of 4 steps: snapshots and scores of steps 0, 2 and 4, states of steps 2 and 4."""
    config = read_config(root / "configs" / "tiny.yaml")
    changes = {
        "world": {"num_images": 64},
        "train": {"max_steps": 4, "batch_size": 8, "snapshots": "0, 2", "state_every": 2},
        "probe": {"steps": 2, "batch_size": 8, "gate": 0.0, "certificate_images": 64},
        "evaluate": {"num_inference_steps": 2, "snapshots": "0, 2", "images_per_combination": 2},
    }
    changes["train"]["threads"] = 1
    changes["evaluate"]["final_images_per_combination"] = 2
    parts = {name: replace(getattr(config, name), **new) for name, new in changes.items()}
    config, run = replace(config, **parts), RunDir(tmp_path_factory.mktemp("runs") / "tiny")
    stages.claim(Experiment(config, run))
    for stage in (stages.probe_stage, stages.train_stage, stages.evaluate_stage):
        stage(Experiment(config, run), lambda line: None)
    return run


@pytest.fixture
def run(finished, tmp_path) -> RunDir:
    """A copy to be harmed."""
    shutil.copytree(finished.path.parent, tmp_path / "runs", symlinks=True)
    return RunDir(tmp_path / "runs" / finished.path.name)


def bad(run: RunDir) -> list[Remark]:
    return [finding for finding in verify(run) if finding.level != "note"]


def only(run: RunDir) -> tuple[str, str, str]:
    """Level, path below the run and words of the only finding that is no note."""
    findings = bad(run)
    assert len(findings) == 1, findings
    return findings[0].level, str(findings[0].path.relative_to(run.path)), findings[0].what


def notes(run: RunDir) -> list[str]:
    assert bad(run) == []
    return [f"{finding.path.name}: {finding.what}" for finding in verify(run)]


def rewrite_manifest(directory: Path) -> None:
    manifest = read_json(directory / "manifest.json")
    write_json(directory / "manifest.json", {**manifest, "sha256": hashes(directory)})


def set_status(run: RunDir, writer: str, state: str) -> None:
    status = read_json(run.path / "status.json")
    write_json(run.path / "status.json", {**status, writer: {"state": state, "pid": 1}})


def test_a_finished_run_is_whole_and_stays_untouched(finished):
    folder = finished.path.parent
    before = {path: path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))}
    assert list(verify(finished)) == []
    what = f"{finished.path}: 3 snapshots, 2 states, 10 scored parts: all whole"
    assert summary(finished, []) == what
    assert before == {path: path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """The highest bit of the byte in the middle, of Parquet in the middle of the numbers."""
    data = bytearray(path.read_bytes())
    pages = len(data) - int.from_bytes(data[-8:-4], "little") if path.suffix == ".parquet" else None
    data[len(data[:pages]) // 2] ^= 0x80
    path.write_bytes(bytes(data))


HARMS: dict[str, Callable[[Path], None]] = {"cut": truncate, "flip": flip, "delete": Path.unlink}
SNAPSHOT = (
    *("model_index.json", "scheduler/scheduler_config.json", "tokenizer/tokenizer.json"),
    *("tokenizer/tokenizer_config.json", "text_encoder/config.json", "unet/config.json"),
    *("text_encoder/model.safetensors", "text_encoder/model.ema.safetensors"),
    *("unet/diffusion_pytorch_model.safetensors", EMA, "manifest.json"),
)
STATES = ("raw.safetensors", "ema.safetensors", "optimizer.safetensors", "progress.json")
PROBE = ("probe.safetensors", "certificate.json")
DIRECTORIES = {
    STEP: SNAPSHOT,
    STATE: (*STATES, "manifest.json"),
    "probe": (*PROBE, "manifest.json"),
}


def harmed(directories: dict[str, tuple[str, ...]]) -> list[dict[str, str]]:
    """{directory: file} for each turn; a directory with fewer files begins again."""
    return [
        {directory: names[turn % len(names)] for directory, names in directories.items()}
        for turn in range(max(map(len, directories.values())))
    ]


def test_no_kind_of_file_is_left_out(finished):
    for directory, names in DIRECTORIES.items():
        assert {*names} == {*hashes(finished.path / directory), "manifest.json"}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("turn", harmed(DIRECTORIES), ids=lambda turn: turn[STEP])
def test_every_file_of_a_directory_is_named(finished, turn, harm):
    before = {path: path.read_bytes() for path in (finished.path / d / turn[d] for d in turn)}
    for path in before:
        HARMS[harm](path)
    try:
        findings = {str(f.path.relative_to(finished.path)): f for f in bad(finished)}
    finally:
        for path, data in before.items():
            path.write_bytes(data)
    assert findings.keys() == turn.keys()
    for directory, name in turn.items():
        expected = "is missing" if harm == "delete" else "has changed"
        if name == "manifest.json" and harm != "delete":
            expected = "is not readable"
        assert findings[directory].level == "damaged"
        assert findings[directory].what == f"{name} {expected}"


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize(
    "name, damage",
    [
        (
            "config.yaml",
            "UTF-8|has no section|broken YAML|missing|must be given|: got None, allowed",
        ),
        ("env.json", "not readable as JSON"),
        ("status.json", "not readable as JSON"),
        ("metrics.jsonl", "line 2: not readable|line 3: not readable|has . rows, but the state"),
        ("ranks.jsonl", "line 2: not readable|line 3: not readable|has no row of step"),
        ("samples/step_00000002/*.npz", "cannot read these samples .*; move the file and its"),
        (f"scores.parquet/step_00000002{PROBE_PART}", "cannot read these scores .*; move the file"),
        (
            f"scores.parquet/step_00000002{ORACLE_PART}",
            "cannot read these scores .*; move the file",
        ),
        (f"scores.parquet/render{PROBE_PART}", "cannot read these scores .*; move the file"),
    ],
)
def test_a_file_of_its_own_is_named(finished, name, damage, harm):
    (path,) = finished.path.glob(name)
    before = path.read_bytes()
    HARMS[harm](path)
    try:
        found = only(finished)
    finally:
        path.write_bytes(before)
    level = "missing" if harm == "delete" else "damaged"
    assert found[:2] == (level, str(path.relative_to(finished.path)))
    if harm != "delete":
        with pytest.raises(ValueError, match=damage):
            raise ValueError(found[2])


def test_timings_are_read_too(run):
    path = run.path / "timings.jsonl"
    path.write_text(path.read_text() + '{"step": 5')
    assert notes(run) == ["timings.jsonl: its last line is torn; a continued run writes it again"]
    flip(path)
    assert only(run)[1:] == ("timings.jsonl", only(run)[2]) and "not readable" in only(run)[2]
    path.unlink()
    assert only(run) == ("missing", "timings.jsonl", "no such file")


def test_a_number_changed_in_the_rows_is_seen(run):
    metrics = run.path / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace('"images_seen": 16', '"images_seen": 17'))
    what = "its first 4 rows are not those that the state of step 4 knows"
    assert only(run) == ("damaged", "metrics.jsonl", what)


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_no_flipped_byte_reads_as_something_else(finished, tmp_path, kind):
    """Wherever it lies: the reader names the file, or reads the very same."""
    folder, read = {
        "npz": (finished.samples, load_samples),
        "parquet": (finished.scores, lambda path: read_part(path).to_json()),
    }[kind]
    source = next(folder.rglob(f"step_00000002*.{kind}"), None) or next(folder.rglob("*.npz"))
    data, path, refused = source.read_bytes(), tmp_path / source.name, 0
    rng = np.random.default_rng(0)
    for i in rng.integers(len(data), size=150):
        changed = bytearray(data)
        changed[i] ^= rng.integers(1, 256)
        path.write_bytes(bytes(changed))
        try:
            assert np.array_equal(read(path), read(source))
        except Mistake as mistake:
            assert str(mistake).startswith(f"{path}: cannot read these ")
            assert "scripts/evaluate.py makes" in str(mistake) and "\n" not in str(mistake)
            refused += 1
    assert refused > 50 if kind == "npz" else refused == 150  # a part's hash is of all of it


def test_a_probe_that_cannot_be_used_is_refused_with_its_file(run):
    shared = run.probe.resolve()
    other = {"a": load_file(shared / "probe.safetensors").popitem()[1]}
    save_file(other, shared / "probe.safetensors")
    message = r"no complete probe \(probe.safetensors has changed\); run scripts/run.py"
    with pytest.raises(Mistake, match=message):
        _ = Experiment.of_run(run).probe
    with pytest.raises(
        Mistake, match="probe.safetensors: not the probe of its certificate .*again"
    ):
        load_probe(shared)
    truncate(shared / "probe.safetensors")
    with pytest.raises(Mistake, match="probe.safetensors: not the probe of its certificate"):
        load_probe(shared)


def test_a_probe_left_behind_is_missing(run):
    shutil.rmtree(run.shared)
    level, where, what = only(run)
    assert (level, where) == ("missing", "probe") and "with its .shared/ too" in what


def test_steps_that_were_mixed_up_are_named(run):
    shutil.rmtree(run.path / STEP)
    shutil.copytree(run.snapshots / "step_00000004", run.path / STEP)
    findings = [finding.line() for finding in bad(run)]
    assert f"damaged: {run.path / STEP}: its manifest is of step 4" in findings
    same = f"damaged: {run.snapshots}/step_00000004: {EMA} is that of step_00000002"
    assert same in findings and len(findings) == 6  # samples and scores are of other weights


def test_weights_that_are_not_finite_are_named(run):
    path = run.snapshots / "step_00000004" / EMA
    tensors = load_file(path)
    tensors["conv_in.bias"].fill_(float("nan"))
    save_file(tensors, path)
    rewrite_manifest(path.parent.parent)
    damaged = [f.what for f in bad(run) if f.level == "damaged"]
    assert damaged == ["conv_in.bias is not finite"]


def test_what_training_has_passed_is_missing_and_the_rest_is_to_come(run):
    shutil.rmtree(run.path / STEP)
    assert only(run) == ("missing", STEP, "planned by train.snapshots")
    for name in ("snapshots/step_00000004", STATE):
        shutil.rmtree(run.path / name)
    set_status(run, "train", "preempted")
    assert only(run) == ("missing", STEP, "planned by train.snapshots")  # the state is of step 2
    assert f"note: {run.snapshots}: to come: steps 4" in [f.line() for f in verify(run)]


@pytest.mark.parametrize("instrument", [PROBE_PART, ORACLE_PART])
def test_parts_are_missing_once_the_evaluation_is_done(run, instrument):
    (part,) = run.scores.glob(f"step_00000002{instrument}")
    part.unlink()
    what = "planned by evaluate; scripts/evaluate.py makes it"
    assert only(run) == ("missing", f"scores.parquet/{part.name}", what)
    set_status(run, "evaluate", "preempted")
    assert notes(run) == ["scores.parquet: to come: 1 of 10 parts"]


def test_a_part_without_samples_or_samples_without_a_part_are_named(run):
    """Of other settings than the config's too, which no plan knows."""
    parts = run.scores.glob(f"step_00000002{PROBE_PART}")
    for path in (*run.samples.glob("step_00000002/*"), *parts):
        shutil.copy(path, path.with_name(path.name.replace("-g1-", "-g2-")))
    (part,) = run.scores.glob("step_00000002*-g2-*")
    write_part(part, read_part(part).assign(guidance_scale=2.0), read_facts(part))
    assert bad(run) == []
    part.unlink()
    (samples,) = run.samples.glob("*/*-g2-*")
    what = "no scores of it; scripts/evaluate.py with its settings makes them"
    assert only(run) == ("missing", str(samples.relative_to(run.path)), what)
    set_status(run, "evaluate", "preempted")
    assert notes(run) == [f"{samples.name}: {what}"]
    next(run.samples.glob("step_00000004/*.npz")).unlink()
    assert only(run)[0] == "missing" and only(run)[2].startswith("scored, but not there; move")


@pytest.mark.parametrize("instrument", [PROBE_PART, ORACLE_PART])
def test_a_doubled_part_is_named(run, instrument):
    """Under a name of its own, or in another's place."""
    (part,) = run.scores.glob(f"step_00000002{instrument}")
    double = part.with_name(part.name.replace("step_00000002", "step_00000003"))
    shutil.copy(part, double)
    what = f"holds the rows of {part.name}: doubled, or mixed up"
    assert only(run) == ("damaged", f"scores.parquet/{double.name}", what)
    (other,) = run.scores.glob(f"step_00000004{instrument}")
    double.rename(other)
    assert {(f.level, f.path, f.what) for f in bad(run)} == {
        ("damaged", other, what),
        ("stale", other, STALE),
    }
    other.rename(part.with_name("copy.parquet"))
    assert sorted(finding.level for finding in bad(run)) == ["damaged", "missing"]


def rewritten(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """A part that reads well, its hash too."""
    path.write_bytes(part_bytes(change(read_part(path)), read_facts(path)))


@pytest.mark.parametrize(
    "change, what",
    [
        (lambda t: t[:0], "has no rows"),
        (lambda t: t[1:], "has 47 rows, expected 48: 8 prompts, 2 images of each, 3 concepts"),
        (lambda t: t[t["sample"] == 0], "holds the rows of step_00000002-.*-n1-.*: doubled, or"),
        (
            lambda t: t[t["combination"] != "square red large"],
            "has 42 rows, expected 48: 8 pro",
        ),
        (lambda t: pd.concat([t, t[3:5]]), "row 48 has the key of row 3; 2 rows are doubled"),
        (lambda t: t.assign(prompt=[None, *t["prompt"][1:]]), "row 0 has a null in its key"),
        (lambda t: t.assign(step=[4, *t["step"][1:]]), "mixes rows of step 4 and 2"),
        (lambda t: t.assign(weights="raw"), "holds the rows of step_00000002-raw-.*: doubled, or"),
        (lambda t: t.assign(probe="another"), "holds the rows of .*-another.parquet: doubled"),
    ],
)
@pytest.mark.parametrize("instrument", [PROBE_PART, ORACLE_PART])
def test_rows_that_are_missing_doubled_or_mixed_up_are_named(finished, change, what, instrument):
    (path,) = finished.scores.glob(f"step_00000002{instrument}")
    before = path.read_bytes()
    rewritten(path, change)
    try:
        level, where, found = only(finished)
    finally:
        path.write_bytes(before)
    assert (level, where) == ("damaged", f"scores.parquet/{path.name}")
    assert re.match(what, found), found


def test_the_same_evaluation_with_more_images_is_no_damage(run, root):
    config = run.read_config()
    more = replace(config, evaluate=replace(config.evaluate, images_per_combination=3))
    stages.evaluate_stage(Experiment(more, run), lambda line: None)
    what = "its images are part of another of the same settings; read_run_scores has them once"
    (fewer, other) = sorted(path.name for path in run.scores.glob(f"step_00000002{PROBE_PART}"))
    assert "-n2-" in fewer and "-n3-" in other
    assert f"{fewer}: {what}" in notes(run) and len(notes(run)) == 4  # of step 0, the oracle's too


def test_runs_of_older_versions_have_no_memoriser_and_were_not_read_by_the_oracle(run):
    what = "as in runs of older versions; scripts/evaluate.py makes it"
    for part in run.scores.glob(ORACLE_PART):
        part.unlink()
    assert [note.split(": ")[1] for note in notes(run)] == [f"not there and 4 others, {what}"]
    (memorised,) = run.scores.glob("memoriser-*")
    memorised.unlink()
    shutil.rmtree(run.samples / "memoriser")
    assert notes(run) == [f"{memorised.name}: not there and 5 others, {what}"]
    next(run.scores.glob("step_00000002*")).unlink()
    assert sorted(finding.level for finding in bad(run)) == ["missing"] * 7


def test_an_oracle_that_has_read_one_snapshot_is_to_read_all(run):
    (kept,) = run.scores.glob(f"step_00000002{ORACLE_PART}")
    for part in {*run.scores.glob(ORACLE_PART)} - {kept}:
        part.unlink()
    assert [finding.level for finding in bad(run)] == ["missing"] * 4


def test_frozen_parts_are_hashed_too(run):
    frozen = run.snapshots / "frozen" / "text_encoder"
    write_directory(frozen, lambda path: (path / "model.safetensors").write_text("weights"))
    assert bad(run) == []
    (frozen / "model.safetensors").write_text("others")
    what = "model.safetensors has changed"
    assert only(run) == ("damaged", "snapshots/frozen/text_encoder", what)


def test_equal_conditioners_are_no_mixed_up_steps(tmp_path):
    """Steps are told apart by their U-Nets alone."""
    steps = [tmp_path / f"step_0000000{step}" for step in (0, 2)]
    name = "diffusion_pytorch_model.safetensors"
    assert not [*equal_weights({step: {f"conditioner/{name}": "a"} for step in steps})]
    (finding,) = equal_weights({step: {f"unet/{name}": "a"} for step in steps})
    assert finding.what == f"unet/{name} is that of step_00000000"


def test_an_evaluation_with_other_settings_leaves_the_plan_to_come(run):
    text = run.config_file.read_text()
    run.config_file.write_text(text.replace("guidance_scale: 1.0", "guidance_scale: 3.0"))
    assert notes(run) == ["scores.parquet: to come: 6 of 10 parts"]


def test_a_run_that_is_not_evaluated_yet_is_whole(run):
    run.probe.unlink()
    shutil.rmtree(run.scores)
    shutil.rmtree(run.samples)
    assert notes(run) == ["probe: to come"]


def test_a_thinned_snapshot_is_whole(run):
    thin(run.snapshots, 2)
    assert notes(run) == ["snapshots: 1 thinned out (evaluate.keep)"]


def test_leftovers_are_noted_unless_a_writer_is_at_work(run):
    (run.snapshots / ".step_00000006.123.tmp").mkdir()
    (run.samples / ".a.123.tmp.npz").write_text("half")
    (run.states / "step_00000002.broken-0").mkdir()
    set_status(run, "train", "running")
    moved = "step_00000002.broken-0: moved aside: damaged, or of a training that was abandoned"
    assert sorted(notes(run)) == [
        ".a.123.tmp.npz: left behind by a writer that was killed",
        ".step_00000006.123.tmp: left behind by a writer that was killed",
        "status.json: train is said to be running, but its process has died",
        moved,
    ]
    with (run.path / ".train.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert notes(run) == [moved]


def test_lineage_is_read_and_expected_of_a_fine_tuned_run(run):
    text = run.config_file.read_text().replace(
        "    run: null\n    step: null", "    run: a\n    step: 0"
    )
    run.config_file.write_text(text)
    assert only(run) == ("missing", "lineage.json", "no such file")
    (run.path / "lineage.json").write_text("[]")
    assert only(run) == ("damaged", "lineage.json", "holds no names and values")


@pytest.mark.parametrize(
    "rows, progress, log_every, message",
    [
        (ROWS, {}, 1, ""),
        (ROWS[1::2], {}, 2, ""),
        (ROWS[1:], {}, 1, "row 1 is of step 2, expected 1"),
        (ROWS[:2] + ROWS[3:], {}, 1, "row 3 is of step 4, expected 3"),
        (
            ROWS[:2],
            {"rows_written": 3, "step": 3},
            1,
            "has 2 rows, but the state of step 3 knows 3",
        ),
        (
            ROWS,
            {"rows_written": 2, "step": 3, "metrics_sha256": "hash"},
            4,
            "row 3 is of step 3, exp",
        ),
        (ROWS[:1] + ROWS[2:], {"rows_written": 2, "step": 3, "metrics_sha256": "hash"}, 4, ""),
        (
            ROWS,
            {"rows_written": 2, "step": 2, "metrics_sha256": "0"},
            1,
            "its first 2 rows are not",
        ),
        ([{"step": 1}], {}, 1, "row 1 has no step or no loss"),
    ],
)
def test_rows_follow_log_every_but_where_the_state_vouches_for_them(
    tmp_path, rows, progress, log_every, message
):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    progress = {"rows_written": 0, "step": 0, **progress}
    if progress.get("metrics_sha256") == "hash":
        progress["metrics_sha256"] = hash_rows(path, progress["rows_written"])
    wrong = wrong_metrics(path, rows, progress, log_every)
    assert wrong.startswith(message) and bool(wrong) == bool(message)


@pytest.mark.parametrize(
    "ranks, message",
    [
        (RANKS, ""),
        (RANKS[2:], ""),  # the file is younger than the run
        (RANKS[:3], ""),  # beyond the state, which is of step 3
        ([], "has no row of step 1"),
        (RANKS[:1] + RANKS[2:], "has no row of step 2"),
        ([*RANKS, RANKS[0]], "its steps do not increase"),
        (
            [{**RANKS[0], "loss": [0.4, 0.7]}],
            "its losses of step 1 average 0.55, metrics.jsonl has",
        ),
        ([{**RANKS[0], "draw": ["0123abcd"]}], "row 1 has no step, or not a checksum and a loss"),
        ([{**RANKS[0], "draw": ["0123abcx"] * 2}], "row 1 has no step, or not a checksum"),
    ],
)
def test_ranks_agree_with_the_rows(ranks, message):
    wrong = wrong_ranks(ranks, ROWS, step=3)
    assert wrong.startswith(message) and bool(wrong) == bool(message)


def call(monkeypatch, root: Path, *arguments: str) -> int | str | None:
    """Exit status of the script, in this process: its imports are what takes long."""
    monkeypatch.setattr(sys, "argv", ["verify.py", *arguments])
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(root / "scripts" / "verify.py"), run_name="__main__")
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return end.value.code


def test_the_exit_status_tells(run, finished, root, monkeypatch, capsys, tmp_path):
    assert call(monkeypatch, root, "--run", str(finished.path)) == 0
    assert capsys.readouterr().out.splitlines() == [summary(finished, [])]
    (run.path / STATE / "raw.safetensors").unlink()
    assert call(monkeypatch, root, "--run", str(run.path), str(finished.path)) == 2
    out, err = capsys.readouterr()
    assert f"damaged: {run.path / STATE}: raw.safetensors is missing\n" in out
    assert f"{run.path}: 3 snapshots, 2 states, 10 scored parts: 1 damaged\n" in out
    assert err.strip() == f"error: not whole: {run.path} (1 of 2 runs)"
    with pytest.raises(Mistake, match="not a run directory"):
        verify_runs([step_directory(tmp_path, 0)], print)
