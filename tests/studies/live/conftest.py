"""A run that grows: the example, whose later snapshots are scored when a test says so."""

import shutil
from pathlib import Path

import pytest

from studies.live import content
from studies.run.directory import RunDir


class Growing:
    """A run of which only the first snapshots are scored, at first.

    Attributes:
        run: its directory.
    """

    def __init__(self, run: RunDir, hidden: Path, scored_to: int):
        self.run, self.hidden = run, hidden
        for part in [*run.scores.glob("step_*"), *run.table("denoiser").glob("*")]:
            if _step(part) > scored_to:
                (hidden / part.parent.name).mkdir(parents=True, exist_ok=True)
                shutil.move(part, hidden / part.parent.name / part.name)

    def score(self, to: int) -> None:
        """Let the snapshots up to a step be scored."""
        for part in sorted(self.hidden.rglob("*.parquet")):
            if part.is_file() and _step(part) <= to:
                shutil.move(part, self.run.path / part.parent.name / part.name)


def _step(part: Path) -> int:
    return int(part.name.removeprefix("step_")[:8])


@pytest.fixture
def growing(finished, tmp_path, monkeypatch) -> Growing:
    """Scored to step 300 of 1200: nine snapshots of 27."""
    monkeypatch.setattr(content, "REST", 0)
    run = RunDir(tmp_path / "runs" / finished.path.name)
    shutil.copytree(finished.path, run.path, symlinks=True)
    return Growing(run, tmp_path / "hidden", scored_to=300)
