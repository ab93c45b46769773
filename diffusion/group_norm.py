"""Group norm and SiLU of channels-last images in one pass: group_norm.c, and the same in torch.

torch computes the norm, the activation and the change to bf16 one after the other, and keeps what
lies between them for the backward pass. The C file is compiled at its first use on a processor, by
`cc` or what $CC names, and kept in the user's cache, if there is one. Where that fails torch does
the work, with a warning, and the results differ in their last bits.
"""

import atexit
import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ground.endings import first_line
from ground.files import whole_file

SOURCE = Path(__file__).with_suffix(".c")
FLAGS = ["-O2", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fno-unswitch-loops"]
FLAGS += ["-std=gnu11", "-fopenmp", "-fPIC", "-shared"]
KINDS = (torch.float32, torch.bfloat16)


class _Settings(NamedTuple):
    groups: int
    eps: float
    silu: bool
    dtype: torch.dtype


def group_norm(
    x: Float[Tensor, "n c h w"],
    norm: nn.GroupNorm,
    *,
    shift: Float[Tensor, "n c"] | None = None,
    silu: bool = False,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "n c h w"]:
    """Group norm of x + shift, through SiLU if asked, in `dtype` (x's, if not given).

    Hooks of `norm` are not called.
    """
    settings = _Settings(norm.num_groups, norm.eps, silu, dtype or x.dtype)
    if shift is None:
        shift = x.new_zeros(x.shape[:2], dtype=norm.weight.dtype)
    if _covers(x, norm, settings) and library() is not None:
        inputs = (shift.contiguous(), norm.weight.contiguous(), norm.bias.contiguous())
        return _GroupNorm.apply(x.contiguous(memory_format=torch.channels_last), *inputs, settings)
    return _in_torch(x, shift, norm.weight, norm.bias, settings)


def _covers(x: Tensor, norm: nn.GroupNorm, settings: _Settings) -> bool:
    numbers = x.dtype in KINDS and settings.dtype in KINDS and norm.weight.dtype == torch.float32
    return numbers and x.device.type == "cpu" and not torch.compiler.is_compiling()


def _in_torch(x: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, to: _Settings) -> Tensor:
    v = x.to(weight.dtype) + shift[:, :, None, None]
    z = F.group_norm(v, to.groups, weight, bias, to.eps).to(to.dtype)
    return F.silu(z) if to.silu else z


class _GroupNorm(torch.autograd.Function):
    """`_in_torch`, computed by group_norm.c, of contiguous tensors (x: channels-last)."""

    @staticmethod
    def forward(ctx, x, shift, weight, bias, settings):
        y = torch.empty_like(x, dtype=settings.dtype)
        mean, rstd = weight.new_empty((2, len(x), settings.groups))
        _call("forward", settings, x, shift, weight, bias, y, mean, rstd)
        ctx.settings = settings
        ctx.save_for_backward(x, shift, weight, bias, mean, rstd)
        return y

    @staticmethod
    def backward(ctx, dy):
        *inputs, mean, rstd = ctx.saved_tensors
        if torch.is_grad_enabled():  # whose gradient is asked for again: C has none
            x, shift, weight, bias = inputs
            y = _in_torch(x, shift, weight, bias, ctx.settings)
            asked = [
                leaf for leaf, need in zip(inputs, ctx.needs_input_grad[:4], strict=True) if need
            ]
            gradients = iter(torch.autograd.grad(y, asked, dy, create_graph=True))
            return tuple(next(gradients) if need else None for need in ctx.needs_input_grad)
        dy = dy.contiguous(memory_format=torch.channels_last)
        dx, by_image = torch.empty_like(inputs[0]), mean.new_empty((3, *inputs[1].shape))
        _call("backward", ctx.settings, *inputs, mean, rstd, dy, dx, *by_image)
        dshift, dweight, dbias = by_image
        return dx, dshift, dweight.sum(0), dbias.sum(0), None


def _call(function: str, settings: _Settings, x: Tensor, *tensors: Tensor) -> None:
    shape = _Shape.of(x, settings)
    pointers = (ctypes.c_void_p(tensor.data_ptr()) for tensor in (x, *tensors))
    if getattr(library(), function)(ctypes.byref(shape), *pointers):
        raise MemoryError("group_norm.c: no memory")


class _Shape(ctypes.Structure):
    """As `Shape` in group_norm.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("n", "pixels", "channels", "groups")),
        *((name, ctypes.c_int32) for name in ("x_bf16", "y_bf16", "silu", "threads")),
        ("eps", ctypes.c_float),
    ]

    @classmethod
    def of(cls, x: Tensor, settings: _Settings) -> "_Shape":
        n, c, h, w = x.shape
        bf16 = (x.dtype == torch.bfloat16, settings.dtype == torch.bfloat16)
        threads = torch.get_num_threads()
        return cls(n, h * w, c, settings.groups, *bf16, settings.silu, threads, settings.eps)


def group_norm_implementation(device: torch.device) -> str:
    """What computes group norms there: numbers of one and the other differ in their last bits."""
    return "C" if device.type == "cpu" and library() is not None else "torch"


@functools.cache
def library() -> Any:
    """Compile group_norm.c for this processor and load it; None, with a warning, if it can't be.

    Loaded after torch, whose threads it then uses.
    """
    try:
        return ctypes.CDLL(str(_compiled()))
    except OSError as error:
        warnings.warn(
            f"{SOURCE.name} could not be compiled ({first_line(error)}): torch computes group "
            f"norms, more slowly; install a C compiler, or name one in $CC",
            stacklevel=2,
        )
        return None


def _compiled() -> Path:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise FileNotFoundError(f"no {os.environ.get('CC', 'cc')} in $PATH")
    command = [compiler, *FLAGS, str(SOURCE), "-lm", "-o"]
    parts = [
        *command,
        _processor(),
        _run(compiler, "--version"),
        SOURCE.read_text(encoding="utf-8"),
    ]
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    path = _place(f"group_norm-{name}.so")
    if not path.is_file():
        with whole_file(path) as temporary:
            _run(*command, str(temporary))
    return path


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise OSError(done.stderr or f"{command[0]} gave status {done.returncode}")
    return done.stdout


def _processor() -> str:
    """What `-march=native` depends on."""
    names = Path("/proc/cpuinfo")
    text = names.read_text("utf-8", "replace") if names.is_file() else platform.processor()
    lines = text.splitlines()
    kinds = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return "\n".join(sorted(kinds) or lines[:1])


def _place(name: str) -> Path:
    """Where it is kept; for this process alone, if there is no home, or none to write in."""
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: no home directory
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(home) / "concept-dynamics"
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / name).is_file() or os.access(folder, os.W_OK):
            return folder / name
    folder = Path(tempfile.mkdtemp(prefix="concept-dynamics-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / name
