"""Gates that must be open before a claim about images is decided."""

from collections.abc import Callable, Sequence

from analysis.tables.outcomes import GATED
from studies.claims.images.runs import Gates, ImageRun
from studies.claims.images.tables import final_joint, path_gate
from studies.worlds.bumps.exam import BumpExam

Gate = Callable[[ImageRun], str]


def general_gate(
    runs: Sequence[ImageRun], gates: Gates, *others: Gate, trained: bool = True
) -> str:
    """Return why a claim cannot be decided from some runs, or "": of how many, and the first
    reason.

    others: gates beside those of the file. trained: ask for the accuracy on training conditions.
    Held-out leaks need no gate: a run that has one ends before it trains. A run that diverged has
    none to pass; it counts as "no".
    """
    judged = [run for run in runs if not run.diverged]
    asked: list[Gate] = [lambda run: _of_probe(run, gates), *others]
    if trained:
        asked.insert(1, lambda run: _of_training(run, gates))
    whys = {run.name: next((why for gate in asked if (why := gate(run))), "") for run in judged}
    shut = {name: why for name, why in whys.items() if why}
    if not shut:
        return ""
    name, why = next(iter(shut.items()))
    return f"gate: {len(shut)} of {len(runs)} runs, such as {name}: {why}"


def of_paths(gated: bool) -> tuple[Gate, ...]:
    """Return the gate of paths, or none."""
    return (path_gate,) if gated else ()


def _of_probe(run: ImageRun, gates: Gates) -> str:
    images = run.certificate.get("num_images", 0)
    if images < gates.probe_images:
        return f"its probe was tested on {images:g} clean renders"
    worst = min((v, k) for k, v in run.certificate.items() if k != "num_images")
    return f"its probe reads {worst[1]} right in {worst[0]:.3f}" if worst[0] < gates.probe else ""


def _of_training(run: ImageRun, gates: Gates) -> str:
    accuracy = trained_accuracy(run)
    if accuracy >= gates.trained:
        return ""
    return f"its accuracy on training conditions ends at {accuracy:.2f}"


def trained_accuracy(run: ImageRun) -> float:
    """Return the joint accuracy on training conditions at the last snapshot."""
    exam = run.experiment.exam
    if not isinstance(exam, BumpExam):
        return final_joint(run.last, "train")
    outcomes = exam.outcomes(run.last).set_index("question")["accuracy"]
    return float(outcomes.to_dict()[GATED])
