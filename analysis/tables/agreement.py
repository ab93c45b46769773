"""Where two instruments that read the same images say the same: two scores tables in, one out.

Neither knows the other: a probe learns, the oracle fits the renderer. So where they agree, what is
read is the image's and no quirk of an instrument.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.intervals import binomial_bounds
from analysis.tables.trajectory import MOST_UNSURE

_SNAPSHOT = ["run", "step", "images_seen"]
_IMAGE = [
    *(*_SNAPSHOT, "train_seed", "weights", "combination", "split", "prompt", "intervention"),
    *("sampler", "num_inference_steps", "guidance_scale", "eval_seed", "sample"),
]


def paired(probe: pd.DataFrame, oracle: pd.DataFrame) -> pd.DataFrame:
    """A row per image and concept: what identifies it, `target`, and what each instrument says,
    as columns `probe` and `oracle`, null where it is unsure.

    probe, oracle: rows of `scores`, each of one instrument. Raises ValueError unless both have the
    same images and concepts, each once.
    """
    keys = [*_IMAGE, "concept", "target"]
    tables = [
        table[[*keys, "predicted"]].rename(columns={"predicted": name})
        for name, table in (("probe", probe), ("oracle", oracle))
    ]
    for table in tables:
        if table.duplicated(keys).any():
            raise ValueError("scores of two instruments in one table; give each its own")
    both = tables[0].merge(tables[1], on=keys)
    if not len(both) == len(probe) == len(oracle):
        raise ValueError(
            f"different images: {len(probe)} and {len(oracle)} rows, {len(both)} of them in both"
        )
    return both


def agreement(probe: pd.DataFrame, oracle: pd.DataFrame) -> pd.DataFrame:
    """How often both say the same where neither is unsure, per snapshot and concept.

    The measure "joint" comes first: all concepts the same in one image, of which neither is unsure
    in any. Its unsure shares are of images in which an instrument is unsure of some concept.

    Returns run, step, images_seen, measure, images (all there are), count (those of which neither
    is unsure), agreement (a share of these; nan of none), low, high (its 95 % interval, Clopper
    and Pearson's), probe_unsure, oracle_unsure (shares of all). Raises ValueError as `paired` does.
    """
    readings = _sure_and_same(paired(probe, oracle))
    counts = readings.groupby([*_SNAPSHOT, "measure"], sort=False).agg(
        images=("sure", "size"),
        count=("sure", "sum"),
        same=("same", "sum"),
        probe_unsure=("probe_unsure", "mean"),
        oracle_unsure=("oracle_unsure", "mean"),
    )
    low, high = binomial_bounds(*counts[["same", "count"]].to_numpy(np.float64).T)
    share = counts["same"] / counts["count"].where(counts["count"] > 0)
    table = counts.assign(agreement=share, low=low, high=high).drop(columns="same")
    return table.reset_index().sort_values(["run", "step"], kind="stable", ignore_index=True)


def sure_accuracy(probe: pd.DataFrame, oracle: pd.DataFrame) -> pd.DataFrame:
    """How often both instruments read what was asked, where neither is unsure of the concept.

    An image of which an instrument is unsure says nothing of what was learned, though it counts as
    wrong in an accuracy. So this tells which concept is learned first, and which last.

    Returns run, step, images_seen, concept, images (all there are), count (those of which neither
    is unsure), accuracy (a share of these; nan of none), low, high (its 95 % interval, Clopper and
    Pearson's); concepts in the order of the tables. Raises ValueError as `paired` does.
    """
    both = paired(probe, oracle)
    sure = both["probe"].notna() & both["oracle"].notna()
    right = sure & (both["probe"] == both["target"]) & (both["oracle"] == both["target"])
    grouped = both.assign(sure=sure, right=right).groupby([*_SNAPSHOT, "concept"], sort=False)
    counts = grouped.agg(images=("sure", "size"), count=("sure", "sum"), right=("right", "sum"))
    low, high = binomial_bounds(*counts[["right", "count"]].to_numpy(np.float64).T)
    share = counts["right"] / counts["count"].where(counts["count"] > 0)
    table = counts.assign(accuracy=share, low=low, high=high).drop(columns="right")
    return table.reset_index().sort_values(["run", "step"], kind="stable", ignore_index=True)


def sure_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Text of `sure_accuracy` of one run, by column, a row per snapshot.

    "sure" is the least share of sure images among the concepts. A cell reads "0.980 [0.950,
    0.994]", in brackets where more images are unsure than may be to count (MOST_UNSURE), or "-"
    where no image is sure.
    """
    return [
        {
            "step": str(step),
            "sure": f"{(rows['count'] / rows['images']).min():.0%}",
            **{row["concept"]: _share_text(row) for row in rows.to_dict("records")},
        }
        for step, rows in table.groupby("step")
    ]


def _share_text(row: Mapping[Any, Any]) -> str:
    if not row["count"]:
        return "-"
    text = f"{row['accuracy']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    return text if row["count"] >= (1 - MOST_UNSURE) * row["images"] else f"({text})"


def _sure_and_same(both: pd.DataFrame) -> pd.DataFrame:
    """A row per image and measure: is either unsure, are both sure, do they say the same?"""
    unsure = {f"{name}_unsure": both[name].isna() for name in ("probe", "oracle")}
    sure = both["probe"].notna() & both["oracle"].notna()
    same = sure & (both["probe"] == both["oracle"])
    single = both.assign(measure=both["concept"], **unsure, sure=sure, same=same)
    grouped = single.groupby(_IMAGE, as_index=False, sort=False)
    joint = grouped.agg({**dict.fromkeys(unsure, "any"), "sure": "all", "same": "all"})
    return pd.concat([joint.assign(measure="joint"), single], ignore_index=True)


def format_agreement(table: pd.DataFrame) -> str:
    """Text of one snapshot of `agreement`, a line: 'joint 0.995 [0.990, 0.998] of 1476, …'."""
    shares = [
        f"{row['measure']} {row['agreement']:.3f} [{row['low']:.3f}, {row['high']:.3f}] "
        f"of {row['count']}"
        if row["count"]
        else f"{row['measure']} never both sure"
        for row in table.to_dict("records")
    ]
    joint = table[table["measure"] == "joint"].iloc[0]
    unsure = f"probe {joint['probe_unsure']:.1%}, oracle {joint['oracle_unsure']:.1%}"
    return f"{', '.join(shares)}; unsure of {joint['images']} images: {unsure}"


def disagreements(probe: pd.DataFrame, oracle: pd.DataFrame) -> pd.DataFrame:
    """The images in which both are sure of a concept and read different values: a row per image.

    Returns run, step, combination, sample, and `asked`, `probe` and `oracle`, each {concept: value
    or None}, in the order of the tables. Raises ValueError as `paired` does.
    """
    both = paired(probe, oracle)
    differ = both["probe"].notna() & both["oracle"].notna() & (both["probe"] != both["oracle"])
    keys = ["run", "step", "combination", "sample"]
    apart = both[differ.groupby([both[key] for key in _IMAGE], sort=False).transform("any")]
    return pd.DataFrame(
        [
            {**dict(zip(keys, key, strict=True)), **_readings(rows)}
            for key, rows in apart.groupby(keys, sort=False)
        ],
        columns=[*keys, "asked", "probe", "oracle"],
    )


def _readings(rows: pd.DataFrame) -> dict[str, dict[str, str | None]]:
    def by_concept(column: str) -> dict[str, str | None]:
        values = rows[column].astype(object).where(rows[column].notna(), None)
        return dict(zip(rows["concept"], values, strict=True))

    return {
        "asked": by_concept("target"),
        "probe": by_concept("probe"),
        "oracle": by_concept("oracle"),
    }


def not_as_asked(asked: dict[str, str], read: dict[str, str | None]) -> str:
    """Text 'square, large' of what is read otherwise than asked; 'size unsure' of what is not
    read."""
    other = [
        value or f"{concept} unsure" for concept, value in read.items() if value != asked[concept]
    ]
    return ", ".join(other) or "as asked"
