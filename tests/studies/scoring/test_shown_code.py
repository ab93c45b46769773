"""The Python that docs show, run on the small run in place of the demo's."""

import re

import pytest
import torch

from tests.harness.evaluations import copy


@pytest.fixture
def shown(root, scored, tmp_path):
    """Run all Python of a page, in turn; returns the names that it has defined."""
    run = copy(scored, tmp_path / "runs")

    def execute(page: str) -> dict:
        text, names = (root / "docs" / page).read_text(), {}
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            own = block.replace("configs/quickstart.yaml", str(run.path / "config.yaml"))
            exec(own.replace("runs/quickstart", str(run.path)), names)
        return names

    return execute


def test_the_scores_table_is_grouped_as_shown(shown):
    names = shown("reference/scores.md")
    joint, per_concept = names["joint"], names["per_concept"]
    assert [*joint.columns] == ["held_out", "train"] and [*joint.index] == [0, 2, 4]
    assert [*per_concept.columns] == ["color", "shape", "size"] and len(per_concept) == 6
    worst = per_concept.min(axis=1).unstack()
    assert (joint <= worst + 1e-12).all(axis=None)  # both shares of the same images
    assert names["right"].groupby("step").size().to_dict() == dict.fromkeys([0, 2, 4], 8 * 9 * 3)
    assert {*names["ceiling_and_floor"].index} == {"render", "memoriser"}
    assert len(names["shares"]) == 6


@pytest.mark.slow
def test_a_run_is_continued_and_asked_as_shown(shown, capsys):
    names = shown("getting-started.md")
    assert names["images"].shape == (4, 16, 16, 3) and names["images"].dtype == torch.uint8
    assert "train: finished before, 4 steps" in capsys.readouterr().out


def test_the_path_of_the_theory_is_as_shown(root):
    text = (root / "docs" / "guides" / "theory.md").read_text()
    names: dict = {}
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], names)
    runs = names["runs"]
    assert runs.outputs.shape == (256, 41, 2) and runs.corner_losses.shape == (256, 41, 4)
