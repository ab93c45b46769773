"""A device that this machine need not have: tensors on it say so, and refuse to mix with others.

They are called `meta`, and compute on the CPU. An operation on tensors of both devices is an
AssertionError, but for copies, indices and single numbers, which torch takes from the CPU too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

ELSEWHERE = torch.device("meta")
MAY_MIX = ("copy_", "_to_copy", "index", "index_put_", "index_put", "_index_put_impl_")


class _There(Tensor):
    """A tensor on the other device."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "_There":
        facts = {"strides": inner.stride(), "storage_offset": inner.storage_offset()}
        kind = {"dtype": inner.dtype, "device": ELSEWHERE}
        there = Tensor._make_wrapper_subclass(cls, inner.size(), **facts, **kind)
        there.inner = inner
        return there

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"elsewhere({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Device(TorchDispatchMode):
    """Makes tensors that are asked for elsewhere."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Literals(TorchFunctionMode):
    """Turns numbers into tensors elsewhere and back, which torch would not."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.new_tensor and isinstance(args[0], _There):
            return torch.tensor(args[1], dtype=args[0].dtype).to(ELSEWHERE)
        if func is torch.tensor and _is_elsewhere(kwargs.get("device")):
            return torch.tensor(*args, **{**kwargs, "device": "cpu"}).to(ELSEWHERE)
        if func is Tensor.tolist and isinstance(args[0], _There):
            return args[0].inner.tolist()
        return func(*args, **kwargs)


def _is_elsewhere(device: Any) -> bool:
    return device is not None and torch.device(device).type == ELSEWHERE.type


@contextmanager
def device_elsewhere() -> Iterator[torch.device]:
    """The other device, as long as the context lasts."""
    with _Device(), _Literals():
        yield ELSEWHERE


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    given = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
    there = [x for x in given if isinstance(x, _There)]
    name = func.overloadpacket.__name__
    asked = kwargs.get("device")
    if there and name not in MAY_MIX:
        here = [x for x in given if not isinstance(x, _There) and x.ndim]
        assert not here, f"{func} mixes devices"
    if name == "_to_copy" and asked is None:
        asked = ELSEWHERE if there else None
    goes_there = _is_elsewhere(asked) if asked is not None else bool(there)
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    bare = tree_map(_bare, (args, kwargs))
    outers = {id(x.inner): x for x in there}
    result = func(*bare[0], **bare[1])

    def dressed(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        return outers.get(id(x)) if id(x) in outers else _There(x) if goes_there else x

    return tree_map(dressed, result)


def _bare(x: Any) -> Any:
    return x.inner if isinstance(x, _There) else x
