"""What theories expected beside what came: the order of each, and the theory that is nearest."""

from types import SimpleNamespace

import pandas as pd

from ground.endings import Mistake
from studies.findings import expected_section as module
from studies.findings.expected_section import expected_section
from studies.prediction.against import Comparison, Learned
from studies.prediction.prediction import ConceptPrediction

LEVEL = 0.1


def prediction(concept: str, time: float, a_k: float) -> ConceptPrediction:
    return ConceptPrediction(concept, LEVEL, time, 1.0, a_k, 1.0, 1.0, 1.0)


def tables() -> SimpleNamespace:
    clock = pd.DataFrame({"run": ["a", "b"], "level": [LEVEL, LEVEL]})
    row = {"instrument": "denoiser 0.1", "first": "color", "then": "size", "earlier": 2, "runs": 2}
    orders = pd.DataFrame([{"variant": "weak", **row}])
    variants = {"a": "weak", "b": "weak", "c": "strong"}
    return SimpleNamespace(clock=clock, orders=orders, study=SimpleNamespace(variants=variants))


RUNS = [SimpleNamespace(label=name) for name in "abc"]


def test_the_theory_that_is_right_is_named_and_the_order_that_came_stands_below(monkeypatch):
    found = [prediction("color", 1, 1.0), prediction("size", 2, 2.0)]
    learned = [Learned(name, {"color": 10, "size": 20}, (1, 9)) for name in "ab"]
    asked = []

    def compare(own, levels, by):
        asked.extend(one.label for one in own)
        return Comparison([found, found], {LEVEL: learned}, by)

    monkeypatch.setattr(module, "compare", compare)
    section = expected_section(RUNS, tables(), LEVEL)
    assert asked == ["a", "b"]  # the denoiser of c was not measured
    rows = {row["theory"]: row for row in section.rows}
    assert rows["the linear denoiser"]["weak"] == "color first"
    assert rows["a_k"]["weak"] == "size first"
    assert rows["the linear denoiser"]["rank correlation"] == "1.00"
    assert rows["variance"]["rank correlation"] == "none, all are equal"
    assert rows["measured"]["weak"] == "color before size in 2 of 2"
    assert "Nearest to the order that came is the linear denoiser: rank" in section.answer


def test_what_cannot_be_compared_says_why(monkeypatch):
    def refuse(own, levels, by):
        raise Mistake("world.kind: no moments")

    monkeypatch.setattr(module, "compare", refuse)
    assert expected_section(RUNS, tables(), LEVEL).answer == "Not known: world.kind: no moments"
