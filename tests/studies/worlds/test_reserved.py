"""What stands beside the concepts in tables and files is reserved: no concept can take its name."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from analysis.tables.agreement import agreement, sure_accuracy, sure_rows
from analysis.tables.other_prompts import PLAIN
from analysis.tables.trajectory import BASELINES, accuracy_curves, final_accuracy, format_accuracy
from classifiers.probe import Probe
from classifiers.scores import SCHEMA
from data_gen.output.formats import ImageFolder, Npz, Parquet
from data_gen.output.sources import PhotoSource
from data_gen.photos.world import PhotoWorld
from data_gen.reserved import EXPORTED, MEASURED
from ground.reading import read_as
from studies.experiment.config import RESERVED_NAMES
from studies.experiment.world_file import WorldFile
from studies.worlds.prompt_sets import RESERVED_SETS


@pytest.fixture(scope="module")
def source(photos) -> PhotoSource:
    return PhotoSource(PhotoWorld(photos))


def test_columns_of_exports(source, tmp_path):
    records, names = source.records("train", 0, 2), {*EXPORTED, *source.class_values}
    for kind in (ImageFolder, Npz, Parquet):
        form = kind(tmp_path, source)
        form.write("train", 0, records)
        form.finish("train", [0], 2)
    (line, _) = (tmp_path / "train" / "metadata.jsonl").read_text().splitlines()
    with np.load(tmp_path / "train.npz") as arrays:
        npz = {*arrays.files}
    parquet = {*pq.read_schema(tmp_path / "data" / "train-00000.parquet").names}
    found = {*json.loads(line)} | npz | parquet
    assert found == names


def test_measures_and_columns_of_accuracy():
    row = dict.fromkeys(SCHEMA.names, 0) | {"run": "r", "split": "train", "combination": "x y"}
    scores = pd.DataFrame([row | {"concept": c, "target": "x", "predicted": "x"} for c in "cd"])
    final = final_accuracy(accuracy_curves(scores))
    two = pd.concat([final, final.assign(run="s")])
    header = format_accuracy(two, ["c", "d"]).splitlines()[0].split()
    (learned,) = sure_rows(sure_accuracy(scores, scores))
    assert {*header, *learned} == {*MEASURED, "c", "d"}
    assert {*agreement(scores, scores)["measure"]} == {"joint", "c", "d"}


def test_names_of_runs_splits_and_sets_of_prompts():
    """What `analysis`, which imports none of the others, takes for granted."""
    assert BASELINES == RESERVED_NAMES
    assert {PLAIN, "captions"} == {*RESERVED_SETS}


@pytest.mark.parametrize("name", ["type", "half", "training", "keys", "color"])
def test_concepts_may_be_called_as_attributes_of_modules_are(name):
    """… and the names of all other heads are those of old files."""
    probe = Probe({name: ("x", "y"), "kind": ("u", "v", "w")}, 8)
    logits = probe(torch.zeros(2, 3, 16, 16))
    assert [(n, x.shape[1]) for n, x in logits.items()] == [(name, 2), ("kind", 3)]
    assert {"heads.kind.weight", "heads.kind.bias"} < probe.state_dict().keys()
    assert ("heads.color.weight" in probe.state_dict()) == (name == "color")


def test_words_are_read_composed_and_paths_as_they_are():
    apart, whole = "e\u0301cru", "\u00e9cru"
    concept = {"column": apart, "words": {apart: apart, "red": "red", "blue": "blue"}}
    shape = {"column": "shape", "words": {"round": "1", "square": "2"}}
    world = {
        "kind": "photos",
        "folder": apart,
        "table": apart,
        "concepts": {apart: concept, "shape": shape},
    }
    data = {"name": "n", "world": {**world, "held_out": [f"round {apart}"]}}
    data["captions"] = {"synonyms": {apart: [f"{apart}s"]}}
    file = read_as(WorldFile, data, "")
    assert (file.world.folder, file.world.table) == (apart, apart)
    assert file.world.concepts[whole].words == {whole: whole, "red": "red", "blue": "blue"}
    assert file.world.held_out == (f"round {whole}",)
    assert file.captions.synonyms == {whole: (f"{whole}s",)}
