"""The scores table: one row per image × concept and instrument, kept as Parquet parts.

An instrument is a trained probe or the oracle; `probe` is its name. The oracle's rows have no
`p_target` and no `probabilities` (oracle_scores.py); what follows is of a probe's.

A concept is read as a word or as a coordinate. Of a word, `target` and `predicted` are values, and
`probabilities` are those of all values in their order. Of a coordinate in px

    target_value       what was asked for; null: none
    predicted_value    what was read; null: none. On a circle the one nearest to target_value, so
                       that the difference of the two is their distance, and it may lie beyond the
                       image
    target             "there", or "none"
    predicted          "there" (within 1 px of what was asked for), "elsewhere" or "none"
    probabilities      of these three

so that predicted == target means right for both. `predicted` is null where the probe is unsure,
which counts as wrong; all other columns say what it would have read.

KEY identifies a row. What must not differ between rows that are averaged is in SETTINGS. Parts of
one evaluation with few images per combination and of another with more hold rows of the same key,
of the same images; `join_parts` leaves one of each.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from classifiers.heads import READ_AS, Coordinate
from classifiers.probe import Probe
from ground.endings import Mistake, first_line
from ground.files import digest_file, hash_file, whole_file
from ground.unchanged import read_once

SCHEMA_VERSION = 2  # 1: a part's hash is not in it, but in a hidden file beside it
HASH, BLANK = b"sha256", b"0" * 64  # a part's own hash, and what stands there while it is taken
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
SETTINGS = (
    *("run", "train_seed", "weights", "intervention", "sampler", "num_inference_steps"),
    *("guidance_scale", "eval_seed", "probe"),
)
Row = Mapping[str, Any]
Targets = Mapping[str, str] | Mapping[str, float]  # concept → word, or px (nan: none)


def score_images(
    probe: Probe,
    images: UInt8[Tensor, "n _ h w"],
    rows: Sequence[Row],
    targets: Sequence[Targets],
    common: Row,
) -> pd.DataFrame:
    """Scores of n images; `predicted` is null where the probe is unsure.

    Args:
        images: uint8 in [0, 255].
        rows: per image, what differs between images: combination, split, prompt, sample.
        targets: per image, {concept: asked value, or coordinate in px, nan for none}; a partial
            prompt asks for fewer.
        common: what all images share: run, step, weights, sampler, …
    """
    seen = probe.read(images)
    unsure, answers = seen.unsure.tolist(), {}
    for name, head in probe.concepts.items():
        asked = [target.get(name) for target in targets]
        p = seen.probabilities[name]
        if isinstance(head, Coordinate):
            answers[name] = _places(head, p, asked)
        else:
            answers[name] = _words(head, p.tolist(), asked)
    records = [
        {**common, **row, "concept": concept, **answers[concept][i]}
        | ({"predicted": None} if unsure[i] else {})
        for i, (row, target) in enumerate(zip(rows, targets, strict=True))
        for concept in target
    ]
    return pd.DataFrame(records, columns=SCHEMA.names)


def _words(
    values: tuple[str, ...], probabilities: list[list[float]], asked: Sequence[Any]
) -> list[Row]:
    """What each image shows of a concept with values; nothing where it is not asked for."""
    return [
        {
            "target": word,
            "predicted": values[p.index(max(p))],
            "p_target": p[values.index(word)],
            "probabilities": p,
            "target_value": None,
            "predicted_value": None,
        }
        if word is not None
        else {}
        for p, word in zip(probabilities, asked, strict=True)
    ]


def _places(
    head: Coordinate, probabilities: Float[Tensor, "n v"], asked: Sequence[Any]
) -> list[Row]:
    """What each image shows of a coordinate."""
    wanted = torch.tensor([math.nan if px is None else px for px in asked], dtype=torch.float64)
    read = head.read(probabilities)
    beside = torch.where(wanted.isnan(), read, wanted + head.offset(read, wanted))
    right, outcomes = head.is_right(read, wanted), head.outcomes(probabilities, wanted)
    there, elsewhere, none = READ_AS
    columns = (wanted.tolist(), beside.tolist(), right.tolist(), outcomes.tolist())
    rows: list[Row] = []
    for px, found, is_right, p in zip(*columns, strict=True):
        target = none if math.isnan(px) else there
        other = none if math.isnan(found) else elsewhere
        rows.append(
            {
                "target": target,
                "predicted": target if is_right else other,
                "p_target": p[READ_AS.index(target)],
                "probabilities": p,
                "target_value": None if math.isnan(px) else px,
                "predicted_value": None if math.isnan(found) else found,
            }
        )
    return rows


def write_part(path: Path, scores: pd.DataFrame, facts: Mapping[str, str]) -> None:
    """Write one part, whole or not at all; `facts` go into its metadata.

    On its way it lies beside the folder of parts, where no reader of that takes it for one.
    Raises Mistake on a null or a double in the key.
    """
    key = scores[list(KEY)]
    if key.isna().any(axis=None) or key.duplicated().any():
        raise Mistake(f"{path}: the key {', '.join(KEY)} has nulls or doubles")
    with whole_file(path, path.parent.parent) as temporary:
        temporary.write_bytes(part_bytes(scores, facts))
    digest_file(path).unlink(missing_ok=True)  # of an older version's part of this name


def part_bytes(scores: pd.DataFrame, facts: Mapping[str, str]) -> bytes:
    """A Parquet file that holds its own SHA-256 as it is with BLANK in that place."""
    metadata = {**facts, "schema_version": str(SCHEMA_VERSION)}
    table = pa.Table.from_pandas(scores, SCHEMA.with_metadata(metadata), preserve_index=False)
    stream = pa.BufferOutputStream()
    with pq.ParquetWriter(stream, table.schema, write_page_checksum=True) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({HASH: BLANK})
    data = stream.getvalue().to_pybytes()
    before, _, after = data.rpartition(BLANK)
    return before + hashlib.sha256(data).hexdigest().encode() + after


def read_part(path: Path) -> pd.DataFrame:
    """Read one part. Mistake names a file that is not as it was written: not what its hash says or,
    in an older version's part that has lost it, its pages' checksums."""
    with readable(path):
        data = path.read_bytes()
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        if not _is_as_written(path, data, file.metadata.metadata or {}):
            raise ValueError("it has changed")
        table = file.read()
        if not table.schema.equals(SCHEMA):
            raise ValueError("its columns are not those of scores")
        return table.to_pandas(ignore_metadata=True)


def _is_as_written(path: Path, data: bytes, metadata: Mapping[bytes, bytes]) -> bool:
    if HASH in metadata:
        before, _, after = data.rpartition(metadata[HASH])
        return hashlib.sha256(before + BLANK + after).hexdigest().encode() == metadata[HASH]
    digest = digest_file(path)
    known = not digest.is_file() or digest.read_text().strip() == hash_file(path)
    return metadata.get(b"schema_version") == b"1" and known


@read_once
def read_facts(path: Path) -> Mapping[str, str]:
    """What `write_part` was told of a part; `schema_version` and what pandas notes are there too.
    Mistake as of `read_part`."""
    with readable(path):
        return decoded(pq.read_schema(path).metadata)


def decoded(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    """The metadata of a Parquet file as text."""
    return {key.decode(): value.decode() for key, value in (metadata or {}).items()}


def join_parts(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Parts as one table with one row per KEY, in their order. Of an image that is in several, the
    row of the part with most images per combination counts."""
    table = pd.concat(parts, ignore_index=True)
    most = np.repeat([part["sample"].max() for part in parts], [len(part) for part in parts])
    doubled = table.iloc[(-most).argsort(kind="stable")].duplicated(list(KEY))
    return table[~doubled.sort_index()].reset_index(drop=True)


def adopt_older_parts(folder: Path) -> None:
    """Give parts of older versions their hash, which lies in a hidden file beside each, where some
    readers of the folder stumble over it. Rows and facts stay; a damaged part stays as it is."""
    for digest in sorted(folder.glob(".*.parquet.sha256")):
        part = digest.with_name(digest.name.removeprefix(".").removesuffix(".sha256"))
        if not part.is_file():
            digest.unlink()
            continue
        with suppress(Mistake):  # scripts/verify.py names it
            write_part(part, read_part(part), read_facts(part))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What reads a part: of one that cannot be read it raises Mistake, which names the file."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise Mistake(
            f"{path}: cannot read these scores ({first_line(error)}); "
            f"move the file away, scripts/evaluate.py makes it again"
        ) from None
