"""group_norm.c against torch in float64, and what is done without a compiler."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion import group_norm as module
from diffusion.group_norm import group_norm, library
from tests.harness.rounding import assert_same_sums, gamma

FLOAT32, BF16 = torch.float32, torch.bfloat16
# sums over the largest group below and over its images; of bf16 the rounding of the result is all
ROUNDING = {FLOAT32: gamma(3 * 3 * 5 * 7, FLOAT32), BF16: torch.finfo(BF16).eps / 2}


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def norm_of(channels: int, groups: int) -> nn.GroupNorm:
    norm = nn.GroupNorm(groups, channels, eps=1e-5)
    with torch.no_grad():
        norm.weight.copy_(drawn(channels, seed=1))
        norm.bias.copy_(drawn(channels, seed=2))
    return norm


def exact(x: Tensor, shift: Tensor, norm: nn.GroupNorm, silu: bool) -> Tensor:
    weight, bias = norm.weight.double(), norm.bias.double()
    v = x.double() + shift.double()[:, :, None, None]
    z = F.group_norm(v, norm.num_groups, weight, bias, norm.eps)
    return F.silu(z) if silu else z


def relative(a: Tensor, b: Tensor) -> float:
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


@pytest.fixture
def compiled():
    assert library() is not None, "the machine of the tests has a C compiler"


@pytest.mark.parametrize(
    "shape, groups", [((3, 24, 5, 7), 8), ((2, 6, 1, 1), 1), ((1, 5, 9, 2), 5)]
)
@pytest.mark.parametrize("x_dtype, y_dtype", [*itertools.product((FLOAT32, BF16), repeat=2)])
@pytest.mark.parametrize("silu", [False, True])
def test_it_is_a_group_norm_with_its_gradients(compiled, shape, groups, x_dtype, y_dtype, silu):
    norm = norm_of(shape[1], groups)
    x = (3 * drawn(*shape, seed=3) + 2).to(x_dtype).requires_grad_()
    shift = drawn(*shape[:2], seed=4).requires_grad_()
    leaves = (x, shift, norm.weight, norm.bias)
    y = group_norm(x, norm, shift=shift, silu=silu, dtype=y_dtype)
    expected = exact(x, shift, norm, silu)
    assert y.dtype == y_dtype
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert relative(y, expected) < ROUNDING[y_dtype]
    direction = drawn(*shape, seed=5).to(y_dtype)
    ours = torch.autograd.grad(y, leaves, direction)
    theirs = torch.autograd.grad(expected, leaves, direction.double())
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype
        scale = max(b.norm().item(), 1.0)  # that by a shift of one group's only channel is 0
        assert (a - b).norm().item() / scale < 3 * ROUNDING[x_dtype]


def test_large_numbers_saturate_and_no_number_stays_none(compiled):
    norm = norm_of(8, 8)
    with torch.no_grad():
        norm.weight.fill_(1000.0)
        norm.bias.zero_()
    x = drawn(1, 8, 4, 4, seed=6)
    expected = exact(x, torch.zeros(1, 8), norm, True)
    assert_same_sums(group_norm(x, norm, silu=True), expected, terms=4 * 4)
    x[0, 3, 1, 1] = torch.nan
    for dtype in (FLOAT32, BF16):
        missing = group_norm(x, norm, silu=True, dtype=dtype).isnan()
        assert missing[0, 3].all()
        assert not missing[0, [0, 1, 2, 4, 5, 6, 7]].any()


def test_neither_threads_nor_company_change_a_bit(compiled):
    norm, x = norm_of(16, 4), drawn(7, 16, 6, 6, seed=7)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(group_norm(x, norm, silu=True))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)
    assert torch.equal(group_norm(x[4:5], norm, silu=True), results[0][4:5])


def test_it_can_be_differentiated_twice(compiled):
    norm = norm_of(4, 2)
    x = drawn(2, 4, 3, 3, seed=8).requires_grad_()

    def curvature(y: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), x)[0]

    zero = torch.zeros(2, 4)
    ours = curvature(group_norm(x, norm, silu=True))
    bound = 4 * gamma(2 * 3 * 3, FLOAT32)  # groups are summed in two passes and back through both
    assert relative(ours, curvature(exact(x, zero, norm, True))) < bound


@pytest.fixture
def forgotten(monkeypatch, tmp_path):
    """As in a new process of a user with an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library.cache_clear()
    yield tmp_path / "concept-dynamics"
    library.cache_clear()


def test_it_is_compiled_once(forgotten, monkeypatch):
    assert library() is not None
    (file,) = forgotten.iterdir()
    library.cache_clear()
    monkeypatch.setattr(module, "whole_file", None)
    assert library() is not None
    assert list(forgotten.iterdir()) == [file]


def test_without_a_home_it_is_compiled_for_this_process_alone(forgotten, monkeypatch, tmp_path):
    def nobody() -> None:
        raise RuntimeError("Could not determine home directory.")

    def private(prefix: str) -> str:
        (tmp_path / "private").mkdir()
        return str(tmp_path / "private")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(module.Path, "home", nobody)
    monkeypatch.setattr(module.tempfile, "mkdtemp", private)
    assert library() is not None
    assert len([*(tmp_path / "private").iterdir()]) == 1 and not forgotten.exists()


@pytest.mark.parametrize(
    "compiler, reason", [("no-such-compiler", "no no-such-compiler in "), ("false", "status 1")]
)
def test_without_a_compiler_torch_does_it_and_this_is_said(
    forgotten, monkeypatch, compiler, reason
):
    monkeypatch.setenv("CC", compiler)
    norm, x = norm_of(8, 4), drawn(2, 8, 3, 3, seed=9)
    with pytest.warns(UserWarning, match=f"group_norm.c could not be compiled .*{reason}"):
        y = group_norm(x, norm, silu=True)
    assert relative(y, exact(x, torch.zeros(2, 8), norm, True)) < ROUNDING[FLOAT32]
    assert not forgotten.exists()
