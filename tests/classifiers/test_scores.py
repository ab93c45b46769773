"""The scores table: rows from probabilities, and a key without nulls or doubles."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from classifiers.heads import Coordinate
from classifiers.probe import Probe, ProbeReadings
from classifiers.scores import (
    KEY,
    SCHEMA,
    adopt_older_parts,
    join_parts,
    read_facts,
    read_part,
    score_images,
    write_part,
)
from ground import files
from ground.endings import Mistake

VALUES = {"shape": ("circle", "square"), "color": ("red", "blue", "green")}
COMMON = {
    **dict(run="a", train_seed=0, step=4, images_seen=32, weights="ema", intervention="none"),
    **dict(sampler="ddim", num_inference_steps=20, guidance_scale=1.0, eval_seed=0, probe="p"),
}


class Fixed(Probe):
    """A probe that reads what it is told."""

    def __init__(self, answers, unsure=(False, False)):
        super().__init__(VALUES, 8)
        self.answers = ProbeReadings(answers, torch.tensor(unsure))

    def read(self, images, batch_size=512):
        return self.answers


def scored(unsure=(False, False)) -> pd.DataFrame:
    answers = {
        "shape": torch.tensor([[0.9, 0.1], [0.25, 0.75]]),
        "color": torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]]),
    }
    images = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    rows = [
        dict(combination="circle red", split="train", prompt="a red circle", sample=0),
        dict(combination="circle blue", split="held_out", prompt="a blue", sample=0),
    ]
    targets = [{"shape": "circle", "color": "red"}, {"color": "green"}]
    return score_images(Fixed(answers, unsure), images, rows, targets, COMMON)


@pytest.fixture
def scores() -> pd.DataFrame:
    return scored()


def test_one_row_per_image_and_asked_concept(scores):
    assert list(scores.columns) == SCHEMA.names
    assert scores["concept"].tolist() == ["shape", "color", "color"]
    assert scores["predicted"].tolist() == ["circle", "red", "blue"]
    assert scores["p_target"].tolist() == pytest.approx([0.9, 0.5, 0.125])
    assert scores["probabilities"][2] == [0.125, 0.75, 0.125]


def test_of_an_image_that_is_no_scene_nothing_is_read():
    scores = scored(unsure=(True, False))
    assert scores["predicted"].isna().tolist() == [True, True, False]
    assert scores["p_target"].tolist() == pytest.approx([0.9, 0.5, 0.125])


def placed(asked: list[float], read: list[float], periodic: bool = True) -> pd.DataFrame:
    """Scores of one coordinate on 16 px, read for certain; the last image is no scene."""
    head = Coordinate(16, periodic, nullable=True)
    probe = Fixed({"x": head.shares(torch.tensor(read))}, [False] * (len(read) - 1) + [True])
    probe.concepts = {"x": head}
    rows = [dict(combination="train", split="train", prompt=f"{x}", sample=0) for x in asked]
    images = torch.zeros(len(asked), 1, 16, 16, dtype=torch.uint8)
    return score_images(probe, images, rows, [{"x": px} for px in asked], COMMON)


NAN = float("nan")


def test_a_coordinate_is_there_elsewhere_or_none():
    scores = placed([3.0, 3.0, 3.0, NAN, NAN, 3.0], [3.5, 5.0, NAN, NAN, 5.0, 3.0])
    there = ["there", "there", "there", "none", "none", "there"]
    assert scores["target"].tolist() == there
    assert scores["predicted"][:5].tolist() == ["there", "elsewhere", "none", "none", "elsewhere"]
    assert scores["predicted"].isna().tolist() == [False] * 5 + [True]
    assert scores["p_target"].tolist() == pytest.approx([1, 0, 0, 1, 0, 1])
    assert [list(p) for p in scores["probabilities"][:3]] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert scores["target_value"].isna().tolist() == [False] * 3 + [True, True, False]
    assert scores["predicted_value"].fillna(-1).tolist() == pytest.approx(
        [3.5, 5.0, -1, -1, 5.0, 3.0], abs=0.01
    )


def test_around_a_circle_the_difference_of_values_is_the_distance():
    asked, read = [0.25, 15.75, 0.5], [15.5, 0.5, 8.0]
    around, along = placed(asked, read), placed(asked, read, periodic=False)
    off = around["predicted_value"] - around["target_value"]
    assert off.tolist() == pytest.approx([-0.75, 0.75, 7.5], abs=0.01)
    assert around["predicted"][:2].tolist() == ["there", "there"]
    assert along["predicted"][:2].tolist() == ["elsewhere", "elsewhere"]


def test_parts_read_as_one_table_with_their_facts(scores, tmp_path: Path):
    write_part(tmp_path / "a.parquet", scores, {"config": "c"})
    write_part(tmp_path / "b.parquet", scores.assign(step=8), {"config": "c"})
    table = pd.read_parquet(tmp_path)
    assert len(table) == 6 and not table.duplicated(list(KEY)).any()
    metadata = pq.read_schema(tmp_path / "a.parquet").metadata
    assert metadata[b"schema_version"] == b"2" and metadata[b"config"] == b"c"


@pytest.mark.parametrize("spoil", ["double", "null"])
def test_a_bad_key_is_refused_and_nothing_written(scores, tmp_path: Path, spoil):
    if spoil == "double":
        scores = pd.concat([scores, scores[:1]])
    else:
        scores.loc[0, "prompt"] = None
    with pytest.raises(ValueError, match="the key run, .* has nulls or doubles"):
        write_part(tmp_path / "a.parquet", scores, {})
    assert list(tmp_path.iterdir()) == []


def test_no_byte_of_a_part_changes_unseen(scores, tmp_path: Path):
    part = tmp_path / "scores.parquet" / "a.parquet"
    write_part(part, scores, {"config": "c"})
    data = part.read_bytes()
    for i in range(0, len(data), 13):
        part.write_bytes(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])
        with pytest.raises(Mistake, match="a.parquet: cannot read these scores"):
            read_part(part)
    part.write_bytes(data)
    assert read_part(part)["concept"].tolist() == ["shape", "color", "color"]
    pd.read_parquet(part).to_parquet(part)  # by another program
    with pytest.raises(Mistake, match="it has changed"):
        read_part(part)


def test_only_whole_parts_are_ever_in_their_folder(scores, tmp_path: Path, monkeypatch):
    """Some readers take hidden files of a folder for parts of it."""
    part, beside = tmp_path / "scores.parquet" / "a.parquet", []
    rename = files._rename

    def look(temporary: Path, path: Path) -> None:
        beside.extend(part.parent.iterdir())
        rename(temporary, path)

    monkeypatch.setattr(files, "_rename", look)
    write_part(part, scores, {})
    assert beside == [] and [*tmp_path.rglob("*")] == [part.parent, part]


def write_older(part: Path, scores: pd.DataFrame) -> None:
    """As versions up to 0.1.0 did: the hash in a hidden file beside the part."""
    schema = SCHEMA.with_metadata({"config": "c", "schema_version": "1"})
    pq.write_table(pa.Table.from_pandas(scores, schema, preserve_index=False), part)
    files.digest_file(part).write_text(files.hash_file(part) + "\n")


def test_parts_of_older_versions_are_read_and_moved_over(scores, tmp_path: Path):
    whole, harmed, lost = (tmp_path / f"{name}.parquet" for name in ("whole", "harmed", "lost"))
    for part in (whole, harmed, lost):
        write_older(part, scores)
    files.digest_file(harmed).write_text("0" * 64)
    lost.unlink()
    before = read_part(whole)
    for _ in range(2):
        adopt_older_parts(tmp_path)
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"whole.parquet", "harmed.parquet", ".harmed.parquet.sha256"}
    assert read_part(whole).equals(before)
    assert {"config": "c", "schema_version": "2"}.items() <= read_facts(whole).items()
    with pytest.raises(Mistake, match="harmed.parquet: cannot read these scores .it has changed"):
        read_part(harmed)


def test_images_that_several_parts_have_count_once(scores):
    more = pd.concat([scores.assign(sample=k) for k in range(3)], ignore_index=True)
    fewer = more[more["sample"] < 2].assign(p_target=0.5)  # as if other last bits had read them
    for parts in ([fewer, more], [more, fewer]):
        joined = join_parts([scores.assign(step=8), *parts])
        assert len(joined) == 3 + 9 and not joined.duplicated(list(KEY)).any()
        assert joined["step"].tolist() == [8] * 3 + [4] * 9
        assert joined["p_target"][3:].tolist() == more["p_target"].tolist()
    assert join_parts([more, more]).equals(more)
