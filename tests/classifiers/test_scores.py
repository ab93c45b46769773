"""The scores table: rows from probabilities, and a key without nulls or doubles."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from classifiers.probe import Probe, ProbeReadings
from classifiers.scores import KEY, SCHEMA, score_images, write_part

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


def test_parts_read_as_one_table_with_their_facts(scores, tmp_path: Path):
    write_part(tmp_path / "a.parquet", scores, {"config": "c"})
    write_part(tmp_path / "b.parquet", scores.assign(step=8), {"config": "c"})
    table = pd.read_parquet(tmp_path)
    assert len(table) == 6 and not table.duplicated(list(KEY)).any()
    metadata = pq.read_schema(tmp_path / "a.parquet").metadata
    assert metadata[b"schema_version"] == b"1" and metadata[b"config"] == b"c"


@pytest.mark.parametrize("spoil", ["double", "null"])
def test_a_bad_key_is_refused_and_nothing_written(scores, tmp_path: Path, spoil):
    if spoil == "double":
        scores = pd.concat([scores, scores[:1]])
    else:
        scores.loc[0, "prompt"] = None
    with pytest.raises(ValueError, match="the key run, .* has nulls or doubles"):
        write_part(tmp_path / "a.parquet", scores, {})
    assert list(tmp_path.iterdir()) == []
