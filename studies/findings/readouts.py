"""Findings by several instruments: readouts beside each other, when each concept is learned by
which, and whether runs agree."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.figures.instruments import instruments_figure
from analysis.figures.readouts import readouts_figure
from analysis.tables.learned import (
    learned_rows,
    learned_sentences,
    learned_table,
    too_short_sentences,
)
from analysis.tables.readouts import readout_curves, readout_differences
from analysis.tables.runs_agree import agree_rows, agree_sentences, run_values, runs_agree
from analysis.tables.trajectory import accuracy_curves
from analysis.tables.variants import curves_over_seeds, typical_times
from ground.endings import Mistake, nearest
from studies.findings.readings import Readings, ways_of
from studies.run.opened import Experiment

LEGENDS = {
    "readouts": "Three readouts of the same samples. Left, the mean probability that the probe "
    "gives the asked value, over all images. Middle, how often the probe reads it, among the "
    "images of which it is sure. Right, the place of what the oracle measures, 1 at the mean of "
    "the asked value and 0 at that of the next one, among the images of which it is sure; of a "
    "concept that is no number, how often it reads the asked value. Above, paths through concept "
    "space; below, curves with 95 % intervals, and the share of images of which the instrument is "
    "unsure. Faint: more than half.",
    "instruments": "Four instruments over training. Obedience is how far the denoiser follows the "
    "word; it needs no samples. Guessing gives a probe about the share of chance, and obedience 0. "
    "Bands: 95 % intervals over noise, of obedience over scenes. Below each panel, the share of "
    "images of which probe (blue) and oracle (green) are unsure, and a row per pair of "
    "instruments, coloured where they part.",
}


@dataclass(frozen=True)
class Readouts:
    """Readouts of one or more runs of one world.

    Attributes:
        experiments: the runs. One must have all that its config plans; of several, what is there
            counts.
        about: run, variant and seed.
        concepts: to look at; none: all.
    """

    experiments: Sequence[Experiment]
    about: pd.DataFrame
    concepts: Sequence[str] = ()

    def __post_init__(self) -> None:
        allowed = tuple(self.experiments[0].exam.concepts)
        for name in self.concepts:
            if name not in allowed:
                hint = nearest(name, allowed)
                raise Mistake(f"--concepts: got {name!r}, allowed {', '.join(allowed)}{hint}")

    @property
    def shown(self) -> Sequence[str]:
        return [*(self.concepts or self.experiments[0].exam.concepts)]

    @property
    def split(self) -> str:
        """Return what is shown: what training never shows or, if it shows all, that."""
        return "held_out" if self.experiments[0].exam.held_out else "train"

    @cached_property
    def _found(self) -> dict[str, pd.DataFrame]:
        """Measure all runs, one at a time."""
        whole = len(self.experiments) == 1
        tables: dict[str, list[pd.DataFrame]] = {}
        for experiment in self.experiments:
            readings = Readings.of(experiment, whole)
            for name, table in self._measures(readings) if readings else ():
                tables.setdefault(name, []).append(table[table[_concept(table)].isin(self._cells)])
        return {name: pd.concat(own, ignore_index=True) for name, own in tables.items()}

    @property
    def _cells(self) -> set[str]:
        return {*self.shown, "joint"}

    def _measures(self, readings: Readings) -> Iterator[tuple[str, pd.DataFrame]]:
        own = readings.only(self.shown)
        three = own.probe, own.oracle, own.denoiser
        yield "curves", readout_curves(*three)
        by_combination = readout_curves(own.probe, own.oracle, None, by="combination")
        splits = own.probe.drop_duplicates("combination").set_index("combination")["split"]
        yield "paths", by_combination.assign(split=by_combination["combination"].map(splits))
        yield "learned", learned_table(*three, self.split)
        yield "accuracy", accuracy_curves(own.probe)

    @property
    def curves(self) -> pd.DataFrame:
        return self._found["curves"]

    @property
    def learned(self) -> pd.DataFrame:
        """Return when each run has learned each concept, by each instrument."""
        return self._found["learned"]

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Return how far apart any two instruments are."""
        return readout_differences(self.curves)

    @cached_property
    def agree(self) -> pd.DataFrame:
        """Return whether the runs agree; of one run, whether all ways do in which it was evaluated.

        No rows where there is one of either.
        """
        accuracy, learned, about = self._found["accuracy"], self.learned, self.about
        alone = len(self.experiments) == 1
        ways = dict(ways_of(self.experiments[0], self.shown)) if alone else {}
        if ways:
            about = pd.DataFrame({"run": [*ways], "variant": [*ways]})
            accuracy = pd.concat(map(accuracy_curves, ways.values()), ignore_index=True)
            times = (learned_table(own, None, None, self.split) for own in ways.values())
            learned = pd.concat(times, ignore_index=True)
        return runs_agree(run_values(accuracy[accuracy["split"] == self.split], learned), about)

    def over_seeds(self) -> pd.DataFrame:
        """Return last accuracies and typical learning times (by the probe) of each variant, with
        intervals over its seeds. Raises Mistake for a variant of one seed."""
        seeds = self.about.groupby("variant", sort=False)["run"].nunique()
        for variant in seeds.index[seeds < 2]:
            raise Mistake(
                f"--over-seeds: {variant} has one seed, allowed two or more; an interval over "
                f"seeds cannot be had from one"
            )
        accuracy, cells = self._found["accuracy"], ["variant", "measure"]
        own = accuracy[accuracy["split"] == self.split]
        last = curves_over_seeds(own, self.about).groupby(cells, sort=False).tail(1)
        times = self.learned[self.learned["instrument"] == "probe"]
        typical = typical_times(times.rename(columns={"concept": "measure"}), self.about)
        kept = ["variant", "measure", "low", "high"]
        return pd.concat(
            [
                last[[*kept, "accuracy", "seeds"]]
                .rename(columns={"accuracy": "value"})
                .assign(quantity="last accuracy", censored=0),
                typical[[*kept, "images_seen", "runs", "censored"]]
                .rename(columns={"images_seen": "value", "runs": "seeds"})
                .assign(quantity="learning time, images seen"),
            ],
            ignore_index=True,
        )

    def figures(self) -> dict[str, Any]:
        """Return figures by name: readouts of each variant, and instruments of each run."""
        return {**self._of_variants(), **self._of_runs()}

    def _of_variants(self) -> dict[str, Any]:
        variants, figures = [*self.about["variant"].unique()], {}
        for number, variant in enumerate(variants, 1):
            runs = self.about.loc[self.about["variant"] == variant, "run"]
            paths, curves = (
                self._shown_of(self._found[name], runs) for name in ("paths", "curves")
            )
            if len(curves):
                name, title = ("readouts", "")
                if len(variants) > 1:
                    name, title = f"readouts-{number}", str(variant)
                figures[name] = readouts_figure(paths, curves, title)
        return figures

    def _of_runs(self) -> dict[str, Any]:
        figures = {}
        for label in [*self.curves["run"].unique()]:
            name = "instruments" if len(self.experiments) == 1 else f"instruments-{label}"
            figures[name] = instruments_figure(self._shown_of(self.curves, [label]))
        return figures

    def _shown_of(self, table: pd.DataFrame, runs: Any) -> pd.DataFrame:
        return table[(table["split"] == self.split) & table["run"].isin(runs)]

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the numbers beside the figures, and those of the sentences, by name."""
        found = {
            "readouts": self.curves,
            "readout_paths": self._found["paths"],
            "instruments": self.differences,
            "learned": self.learned,
        }
        return {**found, **({"runs_agree": self.agree} if len(self.agree) else {})}

    def learned_sentences(self) -> Iterator[str]:
        """Say when each concept is learned, by which instrument, and first whether training was too
        short to tell; of several runs, of each."""
        for run, own in self.learned.groupby("run", sort=False):
            for sentence in (*too_short_sentences(own), *learned_sentences(own)):
                yield sentence if len(self.experiments) == 1 else f"{run}: {sentence}"

    def agree_sentences(self) -> Iterator[str]:
        """Say whether the runs agree, or of one run the ways in which it was evaluated."""
        yield from agree_sentences(self.agree)

    def sentences(self) -> Iterator[str]:
        """Say both."""
        yield from self.learned_sentences()
        yield from self.agree_sentences()

    def learned_rows(self) -> list[dict[str, str]]:
        """Return `learned` as text, by column, a row per concept and instrument of the only run."""
        return learned_rows(self.learned)

    def agree_rows(self) -> list[dict[str, str]]:
        return agree_rows(self.agree)


def _concept(table: pd.DataFrame) -> str:
    return "concept" if "concept" in table else "measure"
