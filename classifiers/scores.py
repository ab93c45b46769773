"""The scores table: one row per generated image × concept, kept as Parquet parts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import UInt8
from torch import Tensor

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


def score_images(
    probe: Probe,
    images: UInt8[Tensor, "n 3 h w"],
    rows: Sequence[Mapping[str, Any]],
    targets: Sequence[Mapping[str, str]],
    common: Mapping[str, Any],
) -> pd.DataFrame:
    """Scores of n images; `predicted` is null where the probe is unsure.

    Args:
        images: uint8 in [0, 255].
        rows: per image, what differs between images: combination, split, prompt, sample.
        targets: per image, {concept: asked value}; a partial prompt asks for fewer.
        common: what all images share: run, step, weights, sampler, …
    """
    seen = probe.read(images)
    probabilities = {name: p.tolist() for name, p in seen.probabilities.items()}
    unsure = seen.unsure.tolist()
    records = []
    for i, (row, target) in enumerate(zip(rows, targets, strict=True)):
        for concept, asked in target.items():
            values, p = probe.values[concept], probabilities[concept][i]
            records.append(
                {
                    **common,
                    **row,
                    "concept": concept,
                    "target": asked,
                    "predicted": None if unsure[i] else values[p.index(max(p))],
                    "p_target": p[values.index(asked)],
                    "probabilities": p,
                    "target_value": None,
                    "predicted_value": None,
                }
            )
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
    try:
        digest = digest_file(path)
        if digest.is_file() and digest.read_text().strip() != hash_file(path):
            raise ValueError("it has changed")
        table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
        if not table.schema.equals(SCHEMA):
            raise ValueError("its columns are not those of scores")
        return table.to_pandas(ignore_metadata=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise Mistake(
            f"{path}: cannot read these scores ({first_line(error)}); "
            f"move the file away, scripts/evaluate.py makes it again"
        ) from None
