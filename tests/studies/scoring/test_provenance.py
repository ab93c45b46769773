"""Samples and scores are of the weights that are there, or they are drawn again."""

import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file

from classifiers.certificate import probe_name
from classifiers.scores import SCHEMA, read_facts, read_part, write_part
from diffusion.snapshots import complete_steps, snapshot_hash, step_directory, thin
from ground.endings import DamageWarning, Mistake, Preempted
from ground.files import digest_file, hash_file, hashes, read_json, write_json
from studies import stages
from studies.experiment.config import Config, to_yaml
from studies.run.certificate import read_certificate
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import shown_plans
from studies.run.provenance import STALE
from studies.run.results import read_run_scores, read_samples
from studies.run.samples import recorded_snapshot
from studies.scoring.evaluate import Evaluator
from studies.scoring.thinning import thin_scored
from studies.verify.verify import verify
from tests.harness.evaluations import changed, copy, files, quiet, side_by_side, sides

DRAWN = "samples/step_00000002/ema-ddim1-g1-seed0-n9.npz"
OLDER = "does not say of which weights it is, as an older version left it; "


def write_again(run: RunDir, step: int) -> None:
    """A snapshot with other bits, whole: what a resumed training may write."""
    directory = step_directory(run.snapshots, step)
    for name in ("diffusion_pytorch_model", "diffusion_pytorch_model.ema"):
        path = directory / "unet" / f"{name}.safetensors"
        tensors = load_file(path)
        tensors["conv_out.bias"] += 0.5
        save_file(tensors, path)
    manifest = read_json(directory / "manifest.json")
    write_json(directory / "manifest.json", {**manifest, "sha256": hashes(directory)})


def forget(run: RunDir) -> None:
    """Samples and scores as older versions wrote them, which hold no hash of a snapshot."""
    for path in run.samples.glob("*/*.npz"):
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored if name != "snapshot"}
        np.savez_compressed(path, **arrays)
    for part in run.scores.glob("step_*.parquet"):
        facts = {key: value for key, value in read_facts(part).items() if key != "snapshot"}
        write_part(part, read_part(part), facts)


def stale(run: RunDir) -> list[str]:
    found = [finding for finding in verify(run) if finding.level != "note"]
    assert {finding.what for finding in found} <= {STALE}
    assert {finding.level for finding in found} <= {"stale"}
    return sorted(str(finding.path.relative_to(run.path)) for finding in found)


def evaluated(run: RunDir, config: Config) -> list[str]:
    said: list[str] = []
    stages.evaluate_stage(Experiment(config, run), said.append)
    return said


@pytest.fixture
def run(scored, tmp_path) -> RunDir:
    """Scored, in a copy to be harmed."""
    return copy(scored, tmp_path / "runs")


@pytest.fixture
def afresh(run, config, tmp_path) -> dict[str, str]:
    """What an evaluation leaves that never knew the snapshot of step 2 before it was changed."""
    write_again(run, 2)
    other = copy(run, tmp_path / "afresh")
    shutil.rmtree(other.samples)
    shutil.rmtree(other.scores)
    stages.evaluate_stage(Experiment(config, other), quiet)
    return files(other)


def test_what_is_made_of_a_snapshot_holds_its_hash(scored):
    digest = snapshot_hash(step_directory(scored.snapshots, 2))
    assert recorded_snapshot(scored.path / DRAWN) == digest
    parts = [*scored.scores.glob("step_00000002*")]
    assert len(parts) == 2 and {read_facts(part)["snapshot"] for part in parts} == {digest}
    for part in (*scored.scores.glob("render*"), *scored.scores.glob("memoriser*")):
        assert "snapshot" not in read_facts(part)


@pytest.mark.parametrize("processes", [1, 2])
def test_what_is_of_other_weights_is_named_never_read_and_drawn_again(
    run, scored, config, afresh, drawn, processes
):
    assert stale(run) == sorted(
        [DRAWN, *(f"scores.parquet/{p.name}" for p in run.scores.glob("step_00000002*"))]
    )
    plan, probe = shown_plans(config)[1], probe_name(read_certificate(run))
    for read in (
        lambda: Experiment(config, run).scores([plan], probe),
        lambda: read_run_scores(run.path),
        lambda: read_samples(run, plan),
        lambda: stages.report_stage(Experiment(config, run), quiet),
    ):
        with pytest.raises(Mistake, match="step_00000002.*: of other weights than its snapshot"):
            read()
    if processes == 1:
        what = "what was drawn is of other weights than the snapshots have now; it is drawn again"
        assert evaluated(run, config) == [
            f"evaluate: steps 2: {what}",
            "evaluate: scored 2 of 10 parts",
        ]
    else:
        side_by_side(sides(run, config, 2), lambda each: each.evaluate(each.missing()))
    assert sorted(drawn) == ["0-64.npz", "64-72.npz"] and files(run) == afresh
    assert stale(run) == [] and afresh.keys() == files(scored).keys()
    changes = [name for name, digest in files(scored).items() if digest != afresh[name]]
    assert len(changes) == 3 and all("step_00000002" in name for name in changes)


def test_a_watch_that_has_weights_in_memory_reads_those_that_replace_them(run, config, drawn):
    (evaluator,) = sides(run, config, 1)

    def work(evaluator: Evaluator) -> None:
        for _ in range(2):
            write_again(run, 2)
            evaluator.evaluate(evaluator.missing())
            assert evaluator.missing() == []

    side_by_side([evaluator], work)
    assert len(drawn) == 4 and stale(run) == []


@pytest.mark.slow
def test_tiles_of_other_weights_are_drawn_again(trained, config, drawn, tmp_path):
    run = copy(trained, tmp_path / "runs")

    def work(evaluator: Evaluator) -> None:
        def check() -> None:
            if len(drawn) >= 3:  # two of step 0, one of step 2
                raise Preempted("asked")

        with pytest.raises(Preempted):
            evaluator.evaluate(evaluator.missing(), check)

    side_by_side(sides(run, config, 1), work)
    write_again(run, 2)
    evaluated(run, config)
    assert len(drawn) == 8 + 1
    for folder in (run.samples, run.scores):
        shutil.move(folder, tmp_path / folder.name)
    evaluated(run, config)
    before = RunDir(tmp_path)
    assert files(before) == files(run)


def test_what_an_older_version_left_is_drawn_again_where_it_can_be(run, scored, config, drawn):
    forget(run)
    notes = [finding.line() for finding in verify(run)]
    assert len(notes) == 1 and "9 samples and scores do not say of which weights" in notes[0]
    with pytest.raises(Mistake, match="does not say of which weights it is"):
        read_run_scores(run.path)
    first, *_, last = evaluated(run, config)
    assert first == f"evaluate: steps 0, 2, 4: what was drawn {OLDER}it is drawn again"
    assert last == "evaluate: scored 6 of 10 parts" and len(drawn) == 6
    assert files(run) == files(scored) and stale(run) == []


def test_what_an_older_version_left_of_thinned_weights_stays(run, config, drawn):
    forget(run)
    for step in (0, 2):
        thin(run.snapshots, step)
    before = (run.path / DRAWN).read_bytes()
    last, kept = evaluated(run, config)[:2]
    assert last == f"evaluate: steps 4: what was drawn {OLDER}it is drawn again"
    assert kept == (
        f"evaluate: steps 0, 2: what was drawn {OLDER}their snapshots are thinned out, so it stays"
    )
    assert len(drawn) == 2 and (run.path / DRAWN).read_bytes() == before
    notes = [finding.what for finding in verify(run)]
    assert any("6 samples and scores do not say" in note for note in notes) and stale(run) == []
    other = replace(config, probe=replace(config.probe, steps=3))  # reads the samples there are
    stages.probe_stage(Experiment(other, run), quiet)
    assert evaluated(run, other)[-1] == "evaluate: scored 5 of 10 parts" and len(drawn) == 2
    assert len(read_run_scores(run.path)["probe"].unique()) == 3


def test_a_copy_without_snapshots_is_read(run):
    whole = read_run_scores(run.path)
    shutil.rmtree(run.snapshots)
    assert read_run_scores(run.path).equals(whole)


def test_scores_of_other_weights_thin_nothing(run, config):
    write_again(run, 2)
    keeping = changed(config, keep="last")
    run.config_file.write_text(to_yaml(keeping))
    (said,) = thin_scored(Experiment(keeping, run))
    assert "all kept" in said and complete_steps(run.snapshots) == [0, 2, 4]
    evaluated(run, keeping)
    assert complete_steps(run.snapshots) == [4]
    assert stale(run) == [] and len(read_run_scores(run.path)) > 0


def test_a_snapshot_written_again_while_it_is_loaded_is_not_drawn(run, config, monkeypatch):
    write_again(run, 2)
    generator = Evaluator._generator

    def slowly(self, plan):
        draw = generator(self, plan)
        write_again(run, plan.step)
        return draw

    monkeypatch.setattr(Evaluator, "_generator", slowly)
    with pytest.raises(Mistake, match="step_00000002: was written again meanwhile"):
        evaluated(run, config)
    assert not [*run.samples.glob("*/*.tiles")]


def test_hidden_hashes_of_an_older_version_are_moved_into_the_parts(run, config, drawn):
    (part,) = run.scores.glob("step_00000002*-oracle.parquet")
    schema = SCHEMA.with_metadata({**read_facts(part), "schema_version": "1"})
    table = pa.Table.from_pandas(read_part(part), schema, preserve_index=False)
    pq.write_table(table, part)
    digest_file(part).write_text(hash_file(part))
    torn = run.scores / ".step_00000002-x.17.tmp.parquet"
    torn.write_bytes(b"torn")
    what = "1 hidden hashes of an older version; scripts/evaluate.py moves them into the parts"
    assert what in [finding.what for finding in verify(run)] and stale(run) == []
    before = read_run_scores(run.path)
    assert evaluated(run, config) == ["evaluate: finished before, 10 parts"]
    assert not [*run.scores.glob(".*")] and read_run_scores(run.path).equals(before)
    assert [finding.line() for finding in verify(run)] == [] and not drawn


def test_samples_of_other_weights_are_drawn_again_though_all_is_scored(run, config):
    """Two steps' samples changed places: verify names them, and the same command mends them."""
    first, second = (run.path / DRAWN.replace("00000002", f"0000000{step}") for step in (2, 4))
    before = first.read_bytes(), second.read_bytes()
    first.write_bytes(before[1]), second.write_bytes(before[0])
    assert len(stale(run)) == 2
    assert any("it is drawn again" in line for line in evaluated(run, config))
    assert (first.read_bytes(), second.read_bytes()) == before and not stale(run)


def test_a_snapshot_of_another_step_is_not_drawn_from(run, config):
    """Whole, with its manifest, in the place of another."""
    place = step_directory(run.snapshots, 2)
    shutil.rmtree(place)
    shutil.copytree(step_directory(run.snapshots, 4), place)
    with pytest.warns(DamageWarning, match="its manifest is of step 4; not used"):
        with pytest.raises(Mistake, match="no complete snapshot of step 2"):
            evaluated(run, config)
    assert 2 not in complete_steps(run.snapshots)
