"""What a step reads from its device, or copies to it, told without one.

Tensors of torch's `meta` device have shapes and no numbers, so they stand for those of a GPU: what
runs on them has read none of theirs. Layers choose by `device.type == "cpu"`, and take the paths
that they take on a GPU. `HostTraffic` sees every operator, forward and backward, and writes down

- reads: operators whose result or shape depends on numbers of the device (`.item()`, `nonzero`,
  `masked_select`, `unique`, an index that is a mask), for which a GPU must be waited for;
- copies, in either direction: an operator that has tensors of both sides, or makes one of the other
  side; and a tensor made on the device from Python's lists, which torch makes on the host first.
  Numbers that a kernel takes as arguments are none: they need no memory of the host.

What it cannot see: what a kernel of CUDA does within itself, autocast, which knows no meta device,
and what is copied outside of torch's operators. `torch.cuda.set_sync_debug_mode` tells of these,
on a GPU; `benchmarks/gpu.py` sets it.
"""

import traceback
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ROOT = Path(__file__).resolve().parents[2]
META = torch.device("meta")
READS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
INDEXING = {torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_}
FROM_LISTS = {torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor}


class HostTraffic(TorchDispatchMode):
    """List of what was read or copied within, each as (operator, line of this repository).

    A number that is read is 1, and a copy on the host is of zeros, so that the rest can be seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str]] = []
        self.lists = _FromLists(self)

    def __enter__(self) -> "HostTraffic":
        self.lists.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.lists.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        sides = {tensor.device.type for tensor in tensors}
        if "meta" in sides and _reads(func, args):
            self.note(func)
            if func is torch.ops.aten._local_scalar_dense.default:
                return 1
        if sides == {"meta"} and str(kwargs.get("device")) == "cpu":
            self.note(func)
            return torch.zeros(tensors[0].shape, dtype=kwargs.get("dtype") or tensors[0].dtype)
        result = func(*args, **kwargs)
        made = {leaf.device.type for leaf in tree_leaves(result) if isinstance(leaf, Tensor)}
        if sides and len(sides | made) > 1:
            self.note(func)
        return result

    def note(self, func: Any) -> None:
        self.seen.append((str(func), _line()))


class _FromLists(TorchFunctionMode):
    """Functions that make a tensor from lists: below them, torch shows no operator for its copy."""

    def __init__(self, traffic: HostTraffic):
        super().__init__()
        self.traffic = traffic

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in FROM_LISTS and made.device.type == "meta":
            self.traffic.note(func.__name__)
        return made


def _reads(func: Any, args: Any) -> bool:
    if func.overloadpacket in INDEXING:
        masks = [index for index in args[1] if index is not None]
        return any(mask.dtype in (torch.bool, torch.uint8) for mask in masks)
    return bool(READS & {*func.tags})


def _line() -> str:
    """Where in the repository, the innermost line; autograd's own thread has none."""
    own = [
        frame
        for frame in traceback.extract_stack()
        if Path(frame.filename).is_relative_to(ROOT)
        and ".venv" not in frame.filename
        and "tests" not in Path(frame.filename).relative_to(ROOT).parts
    ]
    last = own[-1:]
    return "".join(f"{Path(f.filename).relative_to(ROOT)}:{f.lineno} {f.line}" for f in last)
