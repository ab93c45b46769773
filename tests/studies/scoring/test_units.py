"""The division of an evaluation's work: a partition, whatever the number of processes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.scores import SCHEMA, write_part
from diffusion.sampling import TILE
from ground.endings import Mistake
from studies.run.plans import Plan
from studies.run.provenance import VERSIONS
from studies.run.samples import save_tile
from studies.scoring.units import (
    Job,
    count_parts,
    deal,
    drop_tiles,
    join_tiles,
    tiles_folder,
    undrawn,
    unscored,
)

KINDS = 8
COUNTS = st.lists(st.integers(0, 40), min_size=1, max_size=6)  # 0: a job without tiles


def plan(count: int) -> Plan:
    return Plan("a", 0, 4, 32, "ema", "ddim", 2, 1.0, 0, count)


def job(number: int, count: int, folder: Path = Path("samples")) -> Job:
    samples = folder / f"{number}-g1.5.npz" if count else None
    parts = {name: folder / f"{number}-{name}.parquet" for name in ("probe", "oracle")}
    return Job(plan(count or 1), parts, samples, None)


@given(counts=COUNTS, processes=st.integers(1, 5))
def test_every_tile_is_drawn_once_and_every_job_scored_once_after_its_tiles(counts, processes):
    jobs = [job(number, count) for number, count in enumerate(counts)]
    work = [(job, undrawn(job, KINDS)) for job in jobs]
    rounds, drawn, scored = deal(work, processes), [], []
    for step in rounds:
        assert len(step.tiles) <= processes
        drawn += step.tiles
        for whole in step.whole:
            assert {*undrawn(whole, KINDS)} <= {*drawn}
        scored += step.whole
    assert drawn == [tile for _, tiles in work for tile in tiles]  # in one order, dealt in turn
    assert scored == jobs
    assert len(rounds) == max(1, -(-len(drawn) // processes))  # nobody waits for long


@given(count=st.integers(1, 40))
def test_tiles_are_all_images_of_a_plan_and_begin_where_the_network_begins(count):
    tiles = undrawn(job(0, count), KINDS)
    assert [i for tile in tiles for i in tile.images] == list(range(KINDS * count))
    assert all(tile.images.start % TILE == 0 for tile in tiles)
    assert all(len(tile.images) == TILE for tile in tiles[:-1])


def test_what_is_left_of_a_job_are_the_parts_that_are_not_there(tmp_path):
    jobs = [job(number, 2, tmp_path) for number in range(3)]
    scores = pd.DataFrame(columns=SCHEMA.names)
    write_part(jobs[0].parts["probe"], scores, {})
    for path in jobs[1].parts.values():
        write_part(path, scores, {"oracle": VERSIONS["oracle"]})
    first, last = unscored(jobs)
    assert first == replace(jobs[0], parts={"oracle": jobs[0].parts["oracle"]}) and last == jobs[2]
    assert (count_parts([first, last]), count_parts(jobs)) == (3, 6)
    write_part(jobs[1].parts["oracle"], scores, {"oracle": "0"})  # read by another version of it
    assert [list(one.parts) for one in unscored(jobs[1:])] == [["oracle"], ["probe", "oracle"]]


def test_what_was_drawn_is_kept_and_put_together(tmp_path):
    one = job(0, 20, tmp_path)
    assert one.samples is not None and tiles_folder(one.samples).name == "0-g1.5.tiles"
    images = np.arange(KINDS * 20 * 3, dtype=np.uint8).reshape(-1, 1, 1, 3)
    first, *others = undrawn(one, KINDS)
    save_tile(first.file, images[:TILE], None)
    assert undrawn(one, KINDS) == others
    for tile in others:
        save_tile(tile.file, images[tile.images.start : tile.images.stop], None)
    joined, snapshot = join_tiles(one.plan, KINDS, one.samples)
    assert snapshot is None and np.array_equal(joined, images.reshape(KINDS, 20, 1, 1, 3))
    first.file.write_bytes(first.file.read_bytes()[:100])
    with pytest.raises(Mistake, match="0-64.npz: cannot read these samples .*move the file away"):
        join_tiles(one.plan, KINDS, one.samples)
    drop_tiles(one.samples)
    assert list(tmp_path.iterdir()) == []
