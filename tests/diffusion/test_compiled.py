"""Compiled models are used only if their gradients are those of the plain ones."""

import functools

import pytest
import torch
from torch import nn

from diffusion.compiled import compile_checked
from ground.endings import Mistake


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(1.0, 5.0))
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, x):
        return (self.weight * x).sum()


def loss_of(model: nn.Module) -> torch.Tensor:
    return model(torch.ones(4)) ** 2


def backend(monkeypatch, function) -> None:
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=function))


@pytest.mark.slow
def test_a_compiler_that_is_right_is_trusted(monkeypatch):
    backend(monkeypatch, "aot_eager")
    model = Linear()
    assert loss_of(compile_checked(model, loss_of, "float32")) == loss_of(model)
    assert model.weight.grad is None  # the check leaves no gradient behind


def test_what_is_frozen_has_no_gradient_to_check(monkeypatch):
    backend(monkeypatch, "aot_eager")
    model = Linear()
    model.unused.requires_grad_(False)
    assert loss_of(compile_checked(model, loss_of, "float32")) == loss_of(model)


def test_wrong_gradients_are_refused(monkeypatch):
    def wrong(graph, inputs):
        return lambda *arguments: [1.1 * output for output in graph(*arguments)]

    backend(monkeypatch, wrong)
    with pytest.raises(Mistake, match=r"train.compile: compiled gradients differ .* by 0.\d+ of"):
        compile_checked(Linear(), loss_of, "float32")


def test_a_compiler_that_fails_is_named(monkeypatch):
    def broken(graph, inputs):
        raise RuntimeError("no compiler")

    backend(monkeypatch, broken)
    with pytest.raises(Mistake, match="train.compile: torch.compile failed .*set it false"):
        compile_checked(Linear(), loss_of, "float32")
