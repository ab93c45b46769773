"""Three clocks of one training, and how they convert.

flow      t of gradient flow on ½ E‖f(x) − x‖². Everything in `theory` that names no clock means it.
steps     of gradient descent on the mean squared error over batch *and* d coordinates (PyTorch's
          `mse_loss`), 2/d of the loss above: a step is 2 · learning_rate / d of flow time. Steps
          follow the flow up to an error of first order in the learning rate.
printed   Yang et al. (arXiv:2410.08309) print the flow of the symmetric network at half the speed
          of its gradient flow: their W(t) is gradient flow's W(t/2).
"""

from typing import Literal, TypeVar

import numpy as np

from ground.endings import Mistake

Clock = Literal["flow", "steps", "printed"]
Times = TypeVar("Times", float, np.ndarray)


def flow_time_per_unit(
    clock: Clock, learning_rate: float | None = None, d: int | None = None
) -> float:
    """Flow time that passes in one unit of `clock`; "steps" needs learning_rate and d.

    Raises Mistake if they are missing or not positive.
    """
    if clock != "steps":
        return {"flow": 1.0, "printed": 0.5}[clock]
    if not (learning_rate and learning_rate > 0 and d and d > 0):
        got = f"learning_rate {learning_rate}, d {d}"
        raise Mistake(f"clock: steps need a learning rate and a dimension above 0, got {got}")
    return 2 * learning_rate / d


def convert(
    time: Times,
    source: Clock,
    target: Clock,
    *,
    learning_rate: float | None = None,
    d: int | None = None,
) -> Times:
    """Convert `time` of the clock `source` to the clock `target`. Raises Mistake as
    `flow_time_per_unit` does."""
    source_unit = flow_time_per_unit(source, learning_rate, d)
    return time * (source_unit / flow_time_per_unit(target, learning_rate, d))
