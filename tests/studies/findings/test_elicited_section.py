"""Whether something is elicited sooner, over seeds: counts, means of ratios, what is not judged."""

import numpy as np
import pandas as pd
import pytest

from ground.endings import Mistake
from studies.findings import elicited_section as module
from studies.findings.elicited_section import elicited_of_runs, elicited_section


def table(befores, ratios) -> pd.DataFrame:
    rows = [
        {"run": f"r{i}", "variant": "weak", "seed": i, "kind": "latent shift", "before": before}
        | {"ratio": ratio, "ratio_low": ratio * 0.9, "ratio_high": ratio * 1.1}
        for i, (before, ratio) in enumerate(zip(befores, ratios, strict=True))
    ]
    return pd.DataFrame(rows)


def test_seeds_in_which_it_is_sooner_are_counted_and_ratios_averaged_in_the_logarithm():
    section = elicited_section(table([True, True, False], [2.0, 2.0, 1.0]), {})
    (row,) = section.rows
    assert row["sooner"].startswith("2 of 3 [0.09, 0.99]")
    assert row["times"] == f"{4 ** (1 / 3):.2f}"
    assert section.answer == "Sooner in weak, latent shift: 2 of 3 [0.09, 0.99] seeds."


def test_runs_of_which_neither_is_learned_are_not_judged():
    section = elicited_section(table([None, None], [np.nan, np.nan]), {"r9": "no part"})
    (row,) = section.rows
    assert (row["sooner"], row["not judged"], row["times"]) == ("0 of 0", "2", "–")
    assert section.answer == "That anything is elicited sooner is not shown."
    assert section.notes[-1] == "r9: left out. no part"


def test_runs_that_cannot_be_read_are_named(monkeypatch):
    class Run:
        label = "a"

    def refuse(experiment):
        raise Mistake("no part")

    monkeypatch.setattr(module, "elicited", refuse)
    found, refused = elicited_of_runs([Run()], pd.DataFrame({"run": ["a"], "variant": ["weak"]}))
    assert found.empty and refused == {"a": "no part"}
    monkeypatch.setattr(module, "elicited", lambda experiment: {})
    found, refused = elicited_of_runs([Run()], pd.DataFrame({"run": ["a"], "variant": ["weak"]}))
    assert found.empty and not refused
    with pytest.raises(KeyError):
        elicited_of_runs([Run()], pd.DataFrame({"variant": ["weak"]}))
