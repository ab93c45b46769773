"""The scores table: one row per image × concept and instrument, kept as Parquet parts.

An instrument is a trained probe or the oracle; `probe` is its name. Where it is unsure, `predicted`
is null. A probe fills `p_target` and `probabilities`; the oracle, of concepts that it reads as a
number, `target_value` and `predicted_value` (`Readings.places`). What one has not is null.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import UInt8
from torch import Tensor

from classifiers.oracle import Oracle
from classifiers.probe import Probe
from data_gen.endings import Mistake, first_line
from data_gen.files import hash_file, whole_file, write_text

SCHEMA_VERSION = 1
SCHEMA = pa.schema(
    [
        ("run", pa.string()),
        ("train_seed", pa.int64()),
        ("step", pa.int64()),
        ("images_seen", pa.int64()),
        ("weights", pa.string()),
        ("combination", pa.string()),
        ("split", pa.string()),
        ("prompt", pa.string()),
        ("intervention", pa.string()),
        ("sampler", pa.string()),
        ("num_inference_steps", pa.int64()),
        ("guidance_scale", pa.float64()),
        ("eval_seed", pa.int64()),
        ("sample", pa.int64()),
        ("probe", pa.string()),
        ("concept", pa.string()),
        ("target", pa.string()),
        ("predicted", pa.string()),
        ("p_target", pa.float64()),
        ("probabilities", pa.list_(pa.float64())),
        ("target_value", pa.float64()),
        ("predicted_value", pa.float64()),
    ]
)
KEY = tuple(SCHEMA.names[: SCHEMA.names.index("concept") + 1])
Row = Mapping[str, Any]


def score_images(
    probe: Probe,
    images: UInt8[Tensor, "n 3 h w"],
    rows: Sequence[Row],
    targets: Sequence[Mapping[str, str]],
    common: Row,
) -> pd.DataFrame:
    """Scores of n images by a probe.

    Args:
        images: uint8 in [0, 255].
        rows: per image, what differs between images: combination, split, prompt, sample.
        targets: per image, {concept: asked value}; a partial prompt asks for fewer.
        common: what all images share: run, step, weights, sampler, …
    """
    seen = probe.read(images)
    probabilities = {name: p.tolist() for name, p in seen.probabilities.items()}
    unsure = seen.unsure.tolist()

    def reading(i: int, concept: str, asked: str) -> Row:
        values, p = probe.values[concept], probabilities[concept][i]
        predicted = None if unsure[i] else values[p.index(max(p))]
        return dict(predicted=predicted, p_target=p[values.index(asked)], probabilities=p)

    return _table(rows, targets, common, reading)


def score_by_oracle(
    oracle: Oracle,
    limit: float,
    images: UInt8[Tensor, "n 3 h w"],
    rows: Sequence[Row],
    targets: Sequence[Mapping[str, str]],
    common: Row,
) -> pd.DataFrame:
    """Scores of n images by the oracle. limit: see `Oracle.read`; the rest as in `score_images`.

    A `predicted_value` is that of the best fit, also where the oracle is unsure of what it sees;
    `target_value` is the class mean, in the same unit.
    """
    seen = oracle.read(images.permute(0, 2, 3, 1).contiguous(), limit)
    indices = dict(zip(oracle.space.names, seen.indices.T.tolist(), strict=True))
    places = {name: place.tolist() for name, place in seen.places.items()}
    means = {name: mean.tolist() for name, mean in oracle.class_places().items()}

    def reading(i: int, concept: str, asked: str) -> Row:
        values, index = oracle.config.concepts[concept].values, indices[concept][i]
        read: Row = {"predicted": values[index] if index >= 0 else None}
        if concept not in places:
            return read
        mean = means[concept][values.index(asked)]
        return {**read, "target_value": mean, "predicted_value": places[concept][i]}

    return _table(rows, targets, common, reading)


def _table(
    rows: Sequence[Row],
    targets: Sequence[Mapping[str, str]],
    common: Row,
    reading: Callable[[int, str, str], Row],
) -> pd.DataFrame:
    """reading: number of an image, concept, asked value → what an instrument says of them."""
    empty = dict.fromkeys(SCHEMA.names)
    records = [
        {
            **empty,
            **common,
            **row,
            **{"concept": concept, "target": asked},
            **reading(i, concept, asked),
        }
        for i, (row, target) in enumerate(zip(rows, targets, strict=True))
        for concept, asked in target.items()
    ]
    return pd.DataFrame(records, columns=SCHEMA.names)


def write_part(path: Path, scores: pd.DataFrame, facts: Mapping[str, str]) -> None:
    """Write one part, whole or not at all; `facts` go into its metadata.

    Raises Mistake on a null or a double in the key.
    """
    key = scores[list(KEY)]
    if key.isna().any(axis=None) or key.duplicated().any():
        raise Mistake(f"{path}: the key {', '.join(KEY)} has nulls or doubles")
    metadata = {"schema_version": str(SCHEMA_VERSION), **facts}
    table = pa.Table.from_pandas(scores, SCHEMA.with_metadata(metadata), preserve_index=False)
    with whole_file(path) as temporary:
        pq.write_table(table, temporary, write_page_checksum=True)
        write_text(digest_file(path), hash_file(temporary) + "\n")


def digest_file(path: Path) -> Path:
    """Where the SHA-256 of a part is: hidden, so that readers of the directory pass it over."""
    return path.with_name(f".{path.name}.sha256")


def read_part(path: Path) -> pd.DataFrame:
    """One part. Mistake names a file that is not as it was written: not what its hash says or,
    if that was lost, its pages' checksums."""
    with _readable(path):
        digest = digest_file(path)
        if digest.is_file() and digest.read_text().strip() != hash_file(path):
            raise ValueError("it has changed")
        table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
        if not table.schema.equals(SCHEMA):
            raise ValueError("its columns are not those of scores")
        return table.to_pandas(ignore_metadata=True)


def read_facts(path: Path) -> dict[str, str]:
    """What `write_part` was told of a part; `schema_version` and what pandas notes are there too.
    Mistake as of `read_part`."""
    with _readable(path):
        metadata = pq.read_schema(path).metadata or {}
        return {key.decode(): value.decode() for key, value in metadata.items()}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise Mistake(
            f"{path}: cannot read these scores ({first_line(error)}); "
            f"move the file away, scripts/evaluate.py makes it again"
        ) from None
