"""Rows of the scores table from what the oracle reads: a value or none, and numbers."""

from collections.abc import Mapping, Sequence

import pandas as pd
from jaxtyping import UInt8
from torch import Tensor

from classifiers.oracle import Oracle
from classifiers.scores import SCHEMA, Row


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

    empty = dict.fromkeys(SCHEMA.names)
    records = [
        {**empty, **common, **row, "concept": concept, "target": asked}
        | dict(reading(i, concept, asked))
        for i, (row, target) in enumerate(zip(rows, targets, strict=True))
        for concept, asked in target.items()
    ]
    return pd.DataFrame(records, columns=SCHEMA.names)
