"""Members of a study: its runs, the settings in which they differ, and how each of them stands.

Imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from studies.run.directory import RunDir

State = Literal["waiting", "running", "preempted", "failed", "diverged", "done", "lost"]


@dataclass(frozen=True)
class StudyRun:
    """Run of a study.

    Attributes:
        name: unique in the study.
        variant: what people call its settings.
        settings: the fields in which the variants of the study differ, {dotted field: value}.
        seed: of training. Runs that differ in nothing else are one variant.
    """

    name: str
    variant: str
    settings: Mapping[str, Any]
    seed: int
    run: RunDir


@dataclass(frozen=True)
class Study:
    """Many runs, and the question that they answer together."""

    name: str
    question: str
    runs: tuple[StudyRun, ...]


@dataclass(frozen=True)
class RunStatus:
    """Status of a run of a study.

    Attributes:
        stage: at which it is, or was when it ended.
        step, of_steps: of training.
        why: it was stopped or failed; empty of the others.
    """

    name: str
    state: State
    stage: str
    step: int
    of_steps: int
    why: str = ""
