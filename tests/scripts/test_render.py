"""scripts/render.py: what is exported loads elsewhere, goes on where it stopped, and is refused."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_gen.output import export as exporting
from ground.endings import Mistake
from studies.drawing.rendering import export_world
from studies.experiment.world_file import WorldFile, read_world_file
from studies.worlds.images import WorldImages
from tests.harness.commands import call, finish, start

ROOT = Path(__file__).resolve().parents[2]
FORMATS = ("imagefolder", "npz", "parquet")


@pytest.fixture(scope="module")
def file() -> WorldFile:
    """Two concepts, numbers held out, words left out, validation images: 150 images in all."""
    file = read_world_file(ROOT / "configs" / "worlds" / "p2_2x2.yaml")
    captions = replace(file.captions, drop_word={"color": 0.5})
    changed = {"num_images": 90, "image_size_px": 8, "held_out_ranges": {"x": (-0.1, 0.1)}}
    return replace(file, world=replace(file.world, **changed), captions=captions)


def images_of(file: WorldFile) -> WorldImages:
    return file.terms.images(file.terms.with_files())


def write(file: WorldFile, out: Path, kind: str, say=lambda line: None) -> None:
    export_world(images_of(file), file, out, kind, 30, say)


@pytest.fixture(scope="module")
def exported(file, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "CHUNK_BYTES", 32 * 3 * 8 * 8)  # several chunks
        for kind in FORMATS:
            write(file, folder / kind, kind)
    return {kind: folder / kind for kind in FORMATS}


def metadata(folder: Path, split: str) -> list[dict]:
    return [json.loads(line) for line in (folder / split / "metadata.jsonl").open()]


def test_image_folders_hold_every_image_and_what_it_shows(exported):
    folder = exported["imagefolder"]
    rows = {
        split: metadata(folder, split)
        for split in ("train", "validation", "test", "unseen_numbers")
    }
    assert {split: len(r) for split, r in rows.items()} == {
        "train": 76, "validation": 14, "test": 30, "unseen_numbers": 30,
    }  # fmt: skip
    first = rows["train"][0]
    assert {"file_name", "color", "size", "caption", "caption_names", "split"} <= set(first)
    assert len(first["color_number"]) == 3 and len(first["vector"]) == 11
    assert {row["split"] for row in rows["test"]} == {"train", "held_out"}
    assert all(-0.1 <= row["x_number"] <= 0.1 for row in rows["unseen_numbers"])
    for split, listed in rows.items():
        images = [Image.open(folder / split / row["file_name"]) for row in listed]
        assert {image.size for image in images} == {(8, 8)}
    assert not list(folder.rglob(".chunks")) and not list(folder.parent.glob("*.partial"))


def test_all_formats_hold_the_same(exported):
    import pandas as pd

    rows = metadata(exported["imagefolder"], "train")
    folder = exported["imagefolder"] / "train"
    pixels = np.stack([np.asarray(Image.open(folder / row["file_name"])) for row in rows])
    with np.load(exported["npz"] / "train.npz") as arrays:
        assert np.array_equal(arrays["imgs"], pixels)
        assert arrays["caption"].tolist() == [row["caption"] for row in rows]
        facts = json.loads(str(arrays["metadata"]))
        assert facts["latents_sizes"] == [2, 2]
        values = dict(zip(facts["latents_names"], arrays["latents_values"].T, strict=True))
        assert values["size"] == pytest.approx([row["size_number"] for row in rows], rel=1e-6)
        names = facts["classes_possible_values"]["color"]
        assert [names[i] for i in arrays["latents_classes"][:, 0]] == [row["color"] for row in rows]
    table = pd.read_parquet(sorted((exported["parquet"] / "data").glob("train-*.parquet")))
    assert table["caption"].tolist() == [row["caption"] for row in rows]
    import io

    again = np.stack([np.asarray(Image.open(io.BytesIO(cell["bytes"]))) for cell in table["image"]])
    assert np.array_equal(again, pixels)


@pytest.mark.parametrize("kind", ["imagefolder", "parquet"])
def test_hugging_face_datasets_loads_them(exported, kind, tmp_path):
    datasets = pytest.importorskip("datasets")
    data = datasets.load_dataset(str(exported[kind]), cache_dir=str(tmp_path))
    assert {name: len(part) for name, part in data.items()} == {
        "train": 76, "validation": 14, "test": 30, "unseen_numbers": 30,
    }  # fmt: skip
    first = data["train"][0]
    assert first["image"].size == (8, 8) and "circle" in first["caption"]
    listed = metadata(exported["imagefolder"], "train")
    assert list(data["train"]["caption"]) == [row["caption"] for row in listed]


def test_cards_say_how_it_was_made_and_that_nothing_leaks(exported):
    card = (exported["imagefolder"] / "README.md").read_text()
    assert "leak check: 0 of 76 training images show a held-out combination" in card
    assert "no x in [-0.1, 0.1] (interpolation)" in card
    assert "| train | 76 |" in card and "signal: 0.4" in card


def of_forecast(form) -> bool:
    """A few images are written aside first, to see how large they are."""
    return ".forecast.tmp" in str(form.directory)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_goes_on_where_it_was_stopped(file, exported, kind, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "CHUNK_BYTES", 32 * 3 * 8 * 8)
    drawn: list[str] = []

    class Stopped(exporting.FORMATS[kind]):
        def write(self, split, k, records):
            if len(drawn) == 3:
                raise KeyboardInterrupt
            if not of_forecast(self):
                drawn.append(f"{split} {k}")
            super().write(split, k, records)

    out, whole = tmp_path / "out", exporting.FORMATS[kind]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setitem(exporting.FORMATS, kind, Stopped)
        write(file, out, kind)
    assert not out.exists() and (tmp_path / "out.partial").is_dir()
    again: list[str] = []
    real = whole.write

    def watched(self, split, k, records):
        if not of_forecast(self):
            again.append(f"{split} {k}")
        real(self, split, k, records)

    monkeypatch.setattr(whole, "write", watched)
    write(file, out, kind)
    assert again and not set(again) & set(drawn)
    files = sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file())
    assert files == sorted(
        p.relative_to(exported[kind]) for p in exported[kind].rglob("*") if p.is_file()
    )
    assert all((out / name).read_bytes() == (exported[kind] / name).read_bytes() for name in files)


def test_killed_writers_leave_no_litter_and_lose_nothing(file, exported, tmp_path, monkeypatch):
    """Half-written files of a killed process, and a forecast that must not count what is there."""
    monkeypatch.setattr(exporting, "CHUNK_BYTES", 32 * 3 * 8 * 8)
    partial = tmp_path / "out.partial"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(exporting.FORMATS["npz"], "finish", stop)
        write(file, tmp_path / "out", "npz")
    (partial / exporting.CHUNKS / ".train-00000.77.tmp.npz").write_bytes(b"half")
    (partial / ".forecast.tmp77").mkdir()
    (partial / ".forecast.tmp77" / "half.npz").write_bytes(b"half")
    usage = shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(exporting.shutil, "disk_usage", lambda path: usage)
    lines: list[str] = []
    write(file, tmp_path / "out", "npz", lines.append)  # only the joined files are still to come
    assert any(line.startswith("disk: about 0.") for line in lines)
    names = sorted(p.name for p in (tmp_path / "out").rglob("*"))
    assert names == sorted(p.name for p in exported["npz"].rglob("*"))


def stop(*arguments) -> None:
    raise KeyboardInterrupt


def test_a_failure_keeps_whole_chunks_and_nothing_else(file, tmp_path, monkeypatch):
    import errno

    monkeypatch.setattr(exporting, "CHUNK_BYTES", 32 * 3 * 8 * 8)
    whole, written, room = exporting.FORMATS["parquet"].write, [], [0]

    def full(self, split, k, records):
        if len(written) == room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(self, split, k, records)
        written.append(k)

    monkeypatch.setattr(exporting.FORMATS["parquet"], "write", full)
    for room[0], left in ((1, []), (4, ["out.partial"])):  # the forecast writes once
        with pytest.raises(Mistake, match="--out: .*out.partial: No space left on device"):
            write(file, tmp_path / "out", "parquet")
        assert [p.name for p in tmp_path.iterdir()] == left
    other = replace(file, world=replace(file.world, seed=7))
    with pytest.raises(Mistake, match="another identity; delete it, or choose another name"):
        write(other, tmp_path / "out", "parquet")


def test_two_writers_are_kept_apart(file, tmp_path):
    import fcntl

    (tmp_path / "out.partial").mkdir()
    descriptor = os.open(tmp_path / "out.partial", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(Mistake, match="another process is writing .*out.partial"):
        write(file, tmp_path / "out", "npz")
    os.close(descriptor)
    assert (tmp_path / "out.partial").is_dir()  # the other's, not ours to remove
    write(file, tmp_path / "out", "npz")  # an empty one that a killed process left is taken over


def test_a_stop_at_the_very_end_loses_nothing(file, tmp_path, monkeypatch):
    fill = exporting._fill
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(exporting, "_fill", lambda *a: (fill(*a), stop()))
        write(file, tmp_path / "out", "npz")
    assert (tmp_path / "out.partial" / "train.npz").is_file()
    write(file, tmp_path / "out", "npz")
    assert not (tmp_path / "out" / exporting.CHUNKS).exists()


def test_nulls_fill_columns_however_they_fall(tmp_path, monkeypatch):
    """A first chunk in which every x is null must not change the columns' types."""
    import pandas as pd

    monkeypatch.setattr(exporting, "CHUNK_BYTES", 64 * 32 * 32)
    file = read_world_file(ROOT / "configs" / "worlds" / "bumps_lesion.yaml")
    write(file, tmp_path / "npz", "npz")
    write(file, tmp_path / "parquet", "parquet")
    with np.load(tmp_path / "npz" / "train.npz") as arrays:
        x = arrays["x"]
    table = pd.read_parquet(sorted((tmp_path / "parquet" / "data").glob("train-*.parquet")))
    assert np.isnan(x).any() and np.array_equal(x, table["x"].to_numpy(), equal_nan=True)


def test_held_out_images_are_described_like_the_others(file):
    """Wrong words are drawn again only where a *training* caption would name what is held out."""
    from data_gen.output.sources import ShapeSource

    captions = replace(file.captions, drop_word={}, wrong_word={"color": 0.2})
    world = replace(file, captions=captions).terms.terms
    columns = ShapeSource(world, 4000).records("test", 0, 4000).columns
    wrong = {"train": [], "held_out": []}
    for split, where in zip(columns["split"], columns["caption_is_wrong_in"], strict=True):
        wrong[split].append(where == "color")
    assert np.mean(wrong["held_out"]) == pytest.approx(0.2, abs=0.04)
    assert columns["caption_leaves_out"] == [""] * 4000


def test_what_is_there_is_found_and_never_overwritten(file, exported, tmp_path):
    lines: list[str] = []
    write(file, exported["npz"], "npz", lines.append)
    assert lines[-1].startswith(f"{exported['npz']}: found 150 images")
    other = replace(file, world=replace(file.world, seed=7))
    with pytest.raises(Mistake, match="holds an export with another identity; choose another name"):
        write(other, exported["npz"], "npz")
    with pytest.raises(Mistake, match="holds an export with another format"):
        write(file, exported["npz"], "parquet")
    (tmp_path / "thesis").mkdir()
    with pytest.raises(Mistake, match="thesis exists and is no export; choose another name"):
        write(file, tmp_path / "thesis", "npz")


def test_a_disk_too_small_is_refused_before_the_long_work(file, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(exporting.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(exporting, "CHUNK_BYTES", 32 * 3 * 8 * 8)
    with pytest.raises(Mistake, match="--out: .* has 0.0 MiB free, about .* MiB are needed"):
        write(file, tmp_path / "out", "imagefolder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", FORMATS)
def test_bumps_are_exported_too(kind, tmp_path):
    file = read_world_file(ROOT / "configs" / "worlds" / "bumps_both.yaml")
    write(file, tmp_path / "out", kind)
    if kind == "imagefolder":
        rows = metadata(tmp_path / "out", "test")
        assert {row["split"] for row in rows} == {"x_band", "y_band", "intersection"}
        row = next(r for r in metadata(tmp_path / "out", "train") if r["example"] == "1d_x")
        assert row["x"] is not None and row["y"] is None
        assert Image.open(tmp_path / "out" / "train" / row["file_name"]).mode == "L"
    if kind == "npz":
        with np.load(tmp_path / "out" / "train.npz") as arrays:
            assert arrays["imgs"].shape == (1122, 32, 32)


def test_shuffled_captions_are_exported_as_training_gets_them(file):
    from data_gen.dataset import training_set
    from data_gen.output.sources import ShapeSource

    shuffled = replace(file, captions=replace(file.captions, shuffled=True))
    world = shuffled.terms.terms
    data, records = training_set(world), ShapeSource(world, 0).records("train", 10, 50)
    expected = [data.captions[i] for i in data.caption[10:50].tolist()]
    assert records.columns["caption"] == expected
    straight = ShapeSource(file.terms.terms, 0).records("train", 10, 50)
    assert straight.columns["caption"] != expected


def test_matched_signals_are_printed_as_flags(file):
    text = images_of(file).match(["color", "size"])
    assert text.startswith("expected pixel gap of color: ") and "size.signal 0." in text
    with pytest.raises(Mistake, match="--match: no concept 'colour' .did you mean 'color'"):
        images_of(file).match(["colour", "size"])
    with pytest.raises(Mistake, match="--match: give two or more"):
        images_of(file).match(["color"])


@pytest.mark.slow
def test_the_command_line_describes_shows_and_exports(tmp_path):
    config = str(ROOT / "configs" / "worlds" / "p2_2x2.yaml")
    flags = ["--world.num-images", "60", "--world.concepts.color.signal", "0.6"]
    process = start(
        "render", "--config", config, "--describe", "--preview", str(tmp_path / "grid.png"), *flags,
        "--out", str(tmp_path / "data"), "--format", "npz", "--test-images", "8",
    )  # fmt: skip
    status, out, err = finish(process)
    assert status == 0, err
    assert "red (0.8, 0.2, 0.2) ± 0.075" in out
    assert f"{tmp_path / 'data'}: wrote 68 images (train 51, validation 9, test 8) as npz" in out
    assert "export" not in err  # no progress bar when not on a terminal
    assert Image.open(tmp_path / "grid.png").width > 600


def test_the_command_line_predicts_without_training():
    """From the config's own model, which its flags change; the model of others is left unread."""
    flags = ["--world.num-images", "60", "--world.image-size-px", "8", "--levels", "0.5", "0.1"]
    config = ["--config", "configs/swingby_2x2.yaml"]
    status, out, err = call("render", *config, "--predict", *flags)
    assert status == 0, err
    assert "told the vector, standardized, 11 numbers" in out and "asked for: blue small" in out
    assert out.index("signal fraction 0.5") < out.index("signal fraction 0.1")
    assert out.count("learned first: ") == 2
    changed = ["--model.numbers", "raw"]
    assert "the vector, raw" in call("render", *config, "--predict", *flags, *changed)[1]


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--levels", "0.3"], "--levels: is read with --predict alone"),
        (["--against", "runs/a"], "--against: is read with --predict alone"),
        (["--model.numbers-scale", "2"], "--model: is read with --predict alone"),
        (["--predict", "--levels", "0.3", "1"], "--levels: got 1, allowed different numbers above"),
        (["--predict", "--levels", "0.3", "0.3"], "--levels: got 0.3, allowed different numbers"),
        (["--predict", "--levels", "0.3", "--levels", "0.4"], "--levels: given twice"),
        (
            ["--predict", "--model.numbers", "raw", "--model.numbers-scale", "2"],
            "model.numbers_scale: is read with model",
        ),
        (
            [*("--predict", "--model.numbers", "raw"), *("--model.conditioning", "coordinates")],
            "model.conditioning: got 'coord",
        ),
        (["--predict", "--against", "runs/none"], "runs/none: not a run directory"),
    ],
)
def test_mistakes_of_predictions_are_one_line(flags, message):
    small = ["--world.num-images", "60", "--world.image-size-px", "8"]
    config = ["--config", "configs/swingby_2x2.yaml", "--describe"]
    status, _, err = call("render", *config, *small, *flags)
    assert status == 2 and message in err, err
    assert err.count("\n") == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--config: missing"),
        (["--config", "configs/worlds/p2_2x2.yaml"], "nothing to do; give --describe"),
        (["--config", "configs/worlds/none.yaml", "--describe"], "no such config file"),
        (
            ["--config", "configs/worlds/p2_2x2.yaml", "--preview", "grid.jpg"],
            "--preview: got grid.jpg, allowed a name that ends in .png",
        ),
    ],
)
def test_mistakes_are_one_line_and_exit_status_2(arguments, message):
    status, _, err = call("render", *arguments)
    assert status == 2 and message in err
    assert err.count("\n") == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--world.concepts.color.signal", "1.5"], "color.signal: got 1.5, allowed 0 to 1"),
        (["--world.held-out", "all"], "world.held_out: takes every combination"),
        (["--world.held-out", '"blue"'], "hides the color 'blue' completely"),
        (["--world.num-images", "0"], "world.num_images: got 0, allowed 1 to"),
        (["--world.concepts.color.jitter", "nan"], "color.jitter: got nan, allowed a number"),
    ],
)
def test_a_world_that_cannot_be_leaves_nothing_behind(flags, message, tmp_path):
    config = str(ROOT / "configs" / "worlds" / "p2_2x2.yaml")
    status, _, err = call("render", "--config", config, "--out", str(tmp_path / "data"), *flags)
    assert status == 2 and message in err, err
    assert list(tmp_path.iterdir()) == []
