"""torch.compile, trusted only after a look at its gradients."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ground.endings import Mistake, first_line

# ‖g_compiled − g_eager‖ / ‖g_eager‖ allowed: rounding in another order, not another function
TOLERANCE = {"float32": 1e-3, "bf16": 5e-2}

LossOf = Callable[[nn.Module], Tensor]


def compile_checked(model: nn.Module, loss_of: LossOf, precision: str) -> nn.Module:
    """Compile `model`. Raises Mistake if its gradient of `loss_of(model)` is another one.

    Compilers have returned wrong gradients without a word (pytorch#140913); a training that they
    spoil looks like one that learns badly.
    """
    compiled = torch.compile(model)
    assert isinstance(compiled, nn.Module)
    eager = _gradient(model, loss_of(model))
    try:
        fast = _gradient(model, loss_of(compiled))
    except RuntimeError as error:
        reason = first_line(error)
        raise Mistake(f"train.compile: torch.compile failed ({reason}); set it false") from None
    gap = ((fast - eager).norm() / eager.norm()).item()
    if not gap <= TOLERANCE[precision]:
        raise Mistake(
            f"train.compile: compiled gradients differ from eager ones by {gap:.2g} of their norm, "
            f"allowed {TOLERANCE[precision]:g}; set it false"
        )
    return compiled


def _gradient(model: nn.Module, loss: Tensor) -> Tensor:
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in gradients])
