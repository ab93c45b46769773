"""Rows of scores from the oracle: values, none where it is unsure, and numbers."""

import pandas as pd
import pytest
import torch

from classifiers.oracle import Oracle
from classifiers.oracle_scores import score_by_oracle
from classifiers.scores import read_facts, read_part, write_part
from data_gen.concepts import place
from data_gen.dataset import labelled_set
from ground.endings import Mistake

COMMON = {
    **dict(run="a", train_seed=0, step=4, images_seen=32, weights="ema", intervention="none"),
    **dict(sampler="ddim", num_inference_steps=20, guidance_scale=1.0, eval_seed=0, probe="oracle"),
}


@pytest.fixture(scope="module")
def by_oracle(tiny_world) -> pd.DataFrame:
    """What it reads in 16 renders of all combinations in turn, asked to show something else in
    size, and in one image of noise."""
    data = labelled_set(tiny_world, 3, "test", 0, 16)
    noise = torch.randint(256, (1, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    images = torch.cat((data.images, noise.to(torch.uint8)))
    shown = [tiny_world.space.combinations[i] for i in [*data.combination.tolist(), 0]]
    targets = [{"shape": shape, "color": color, "size": "large"} for shape, color, _ in shown]
    rows = [
        {"combination": " ".join(c), "split": "train", "prompt": "a", "sample": i}
        for i, c in enumerate(shown)
    ]
    scores = score_by_oracle(Oracle(tiny_world.config), 0.1, images, rows, targets, COMMON)
    numbers = {name: [*n[:, 0].tolist(), None] for name, n in data.numbers.items()}
    return scores.assign(number=scores["sample"].map(dict(enumerate(numbers["size"]))))


def test_the_oracle_reads_what_is_shown_and_has_no_probabilities(by_oracle):
    renders = by_oracle[by_oracle["sample"] < 16]
    for column, concept in enumerate(("shape", "color", "size")):
        rows = renders[renders["concept"] == concept]
        assert rows["predicted"].tolist() == [c.split()[column] for c in rows["combination"]]
    assert by_oracle[["p_target", "probabilities"]].isna().all(axis=None)
    assert by_oracle[by_oracle["sample"] == 16]["predicted"].isna().all()


def test_numbers_are_read_beside_the_class_means_in_one_unit(by_oracle, tiny_config):
    renders = by_oracle[by_oracle["sample"] < 16].set_index("concept")
    assert renders.loc["shape", ["target_value", "predicted_value"]].isna().all(axis=None)
    size, color = renders.loc["size"], renders.loc["color"]
    large = place("size", tiny_config.concepts["size"]).mean[0, 0]
    assert (size["target"] == "large").all() and (size["target_value"] == large).all()
    assert (size["predicted_value"] - size["number"]).abs().max() < 0.02
    assert color["target_value"].tolist() == [float(c == "blue") for c in color["target"]]
    assert (color["predicted_value"] - color["target_value"]).abs().max() < 0.2
    noise = by_oracle[by_oracle["sample"] == 16].set_index("concept")
    assert noise.loc[["color", "size"], "predicted_value"].notna().all()  # of the best fit


def test_the_oracles_part_reads_as_it_was_written(by_oracle, tmp_path):
    part = tmp_path / "a.parquet"
    scores = by_oracle.drop(columns="number")
    write_part(part, scores, {"oracle": "1"})
    read, written = (t.astype(object).where(t.notna(), None) for t in (read_part(part), scores))
    pd.testing.assert_frame_equal(read, written)
    assert {"schema_version": "2", "oracle": "1"}.items() <= read_facts(part).items()
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(Mistake, match="a.parquet: cannot read these scores .*move the file away"):
        read_facts(part)
