"""How an export's chunks become files. Each format writes chunks whole, then joins them."""

import io
import json
import math
import os
import zipfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from data_gen.output.sources import Records, Source
from ground.files import whole_file

CHUNKS = ".chunks"  # folder of what is joined at the end


class Format(ABC):
    """Files of one export; a chunk is there when its part is.

    Attributes:
        folder, suffix: of the parts; folder is relative to the export's directory.
        copies: how many times its final size an export takes on the disk while it is made.
    """

    folder: str = CHUNKS
    suffix: str
    copies = 1

    def __init__(self, directory: Path, source: Source):
        self.directory, self.source = directory, source

    def part(self, split: str, k: int) -> Path:
        return self.directory / self.folder / f"{split}-{k:05d}.{self.suffix}"

    def has(self, split: str, k: int) -> bool:
        return self.part(split, k).is_file()

    def has_any(self) -> bool:
        return any((self.directory / self.folder).glob("[!.]*"))

    @abstractmethod
    def write(self, split: str, k: int, records: Records) -> None:
        """Write one chunk, its part last."""

    @abstractmethod
    def finish(self, split: str, chunks: list[int], count: int) -> None:
        """Join the parts of a split of `count` images."""


def to_picture(image: np.ndarray) -> Image.Image:
    """Convert uint8 (channels, h, w) to a picture, RGB or grey."""
    return Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def _png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    to_picture(image).save(stream, format="PNG")
    return stream.getvalue()


def _rows(records: Records) -> list[dict[str, Any]]:
    names = list(records.columns)
    return [
        dict(zip(names, row, strict=True)) for row in zip(*records.columns.values(), strict=True)
    ]


class ImageFolder(Format):
    """Image folder for Hugging Face datasets: <split>/<chunk>/<place>.png and
    <split>/metadata.jsonl."""

    suffix = "jsonl"

    def write(self, split: str, k: int, records: Records) -> None:
        folder = self.directory / split / f"{k:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        for i, (image, row) in enumerate(zip(records.images, _rows(records), strict=True)):
            name = f"{k:05d}/{i:06d}.png"
            (folder / f"{i:06d}.png").write_bytes(_png(image))
            lines.append(json.dumps({"file_name": name, **row}))
        os.sync()  # the images before the mark that they are there
        with whole_file(self.part(split, k)) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def finish(self, split: str, chunks: list[int], count: int) -> None:
        with whole_file(self.directory / split / "metadata.jsonl") as temporary:
            with temporary.open("wb") as joined:
                for k in chunks:
                    joined.write(self.part(split, k).read_bytes())


class Parquet(Format):
    """Parquet for Hugging Face datasets: data/<split>-<chunk>.parquet; the image is PNG bytes."""

    folder, suffix = "data", "parquet"

    def write(self, split: str, k: int, records: Records) -> None:
        images = [{"bytes": _png(image), "path": None} for image in records.images]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        columns = {name: _arrow(values) for name, values in records.columns.items()}
        table = pa.table({"image": pa.array(images, kind), **columns})
        features = {name: _feature(column.type) for name, column in columns.items()}
        info = {"info": {"features": {"image": {"_type": "Image"}, **features}}}
        with whole_file(self.part(split, k)) as temporary:
            pq.write_table(
                table.replace_schema_metadata({"huggingface": json.dumps(info)}), temporary
            )

    def finish(self, split: str, chunks: list[int], count: int) -> None:
        """Leave the parts as they are: they are the files."""


def _arrow(values: list[Any]) -> pa.Array:
    """Of nulls alone, numbers: other chunks have some."""
    column = pa.array(values)
    return column.cast(pa.float64()) if pa.types.is_null(column.type) else column


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """An Arrow type in the words of Hugging Face datasets."""
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    return {"dtype": {"double": "float64"}.get(str(kind), str(kind)), "_type": "Value"}


class Npz(Format):
    """NumPy archive <split>.npz with dSprites' fields: imgs (n, h, w[, 3]), latents_values,
    latents_classes, metadata (a JSON text, not a pickle); beside them every column of the other
    formats."""

    suffix, copies = "npz", 2

    def write(self, split: str, k: int, records: Records) -> None:
        images = records.images.transpose(0, 2, 3, 1)
        arrays = {
            "imgs": images[..., 0] if images.shape[-1] == 1 else images,
            "latents_values": records.values,
            "latents_classes": records.classes,
        }
        for name, column in records.columns.items():
            arrays[name] = np.array([math.nan if value is None else value for value in column])
        with whole_file(self.part(split, k)) as temporary:
            np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]

    def finish(self, split: str, chunks: list[int], count: int) -> None:
        parts = [self.part(split, k) for k in chunks]
        with np.load(parts[0]) as first:
            names = first.files
        with whole_file(self.directory / f"{split}.npz") as temporary:
            with zipfile.ZipFile(temporary, "w") as target:
                for name in names:
                    _join(target, name, parts, count)
                text = io.BytesIO()
                np.save(text, np.array(json.dumps(self._metadata())))
                target.writestr(_entry("metadata.npy"), text.getvalue())

    def _metadata(self) -> dict[str, Any]:
        classes = self.source.class_values
        return {
            "latents_names": self.source.value_names,
            "classes_names": list(classes),
            "latents_sizes": [len(values) for values in classes.values()],
            "classes_possible_values": classes,
        }


def _join(target: zipfile.ZipFile, name: str, parts: list[Path], count: int) -> None:
    """One array from its parts, one part in memory at a time."""
    kinds = []
    for part in parts:
        with np.load(part) as arrays:
            kinds.append(arrays[name].dtype)
            shape = arrays[name].shape[1:]
    kind = max(kinds, key=lambda dtype: dtype.itemsize)  # texts differ in length
    header = {"descr": kind.str, "fortran_order": False, "shape": (count, *shape)}
    with target.open(_entry(f"{name}.npy"), "w", force_zip64=True) as stream:
        np.lib.format.write_array_header_2_0(stream, header)
        for part in parts:
            with np.load(part) as arrays:
                stream.write(np.ascontiguousarray(arrays[name], dtype=kind).tobytes())


def _entry(name: str) -> zipfile.ZipInfo:
    """Without the time of day, so that equal arrays make equal files."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


FORMATS: dict[str, type[Format]] = {
    "imagefolder": ImageFolder,
    "npz": Npz,
    "parquet": Parquet,
}
