"""Differences between the tensors of two files, read one after the other."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

INFINITE = float("inf")


def weights_difference(a: Path, b: Path, files: Sequence[str]) -> str:
    """Return how many tensors differ, and the one that lies farthest apart, on one line."""
    found = [
        (distance, f"{tensor} of {file} ({_kind(file)}), {what}")
        for file in files
        for tensor, distance, what in tensor_differences(a / file, b / file)
    ]
    if not found:
        return f"{files[0]} differs, but none of its tensors"
    count = f"{len(found)} tensor{'s differ' if len(found) > 1 else ' differs'}"
    return f"{count}, most of all {max(found, key=lambda entry: entry[0])[1]}"


def _kind(file: str) -> str:
    """Return raw, ema or optimizer."""
    stem = Path(file).stem
    return "ema" if stem.endswith("ema") else "optimizer" if stem == "optimizer" else "raw"


def tensor_differences(a: Path, b: Path) -> Iterator[tuple[str, float, str]]:
    """Yield (name, ‖a − b‖, what differs) of every tensor that differs; tensors are read one by
    one."""
    with safe_open(a, "pt") as old, safe_open(b, "pt") as new:
        names = {*old.keys()}, {*new.keys()}
        for name in sorted(names[0] ^ names[1]):
            yield name, INFINITE, f"only in {(a if name in names[0] else b)}"
        for name in sorted(names[0] & names[1]):
            difference = _tensor_difference(old.get_tensor(name), new.get_tensor(name))
            if difference:
                yield name, *difference


def _tensor_difference(a: Tensor, b: Tensor) -> tuple[float, str] | None:
    """Return ‖a − b‖, and a line with it relative to ‖a‖ and the largest |a − b|; None if equal."""
    if a.shape != b.shape or a.dtype != b.dtype:
        kinds = [f"{t.dtype} {tuple(t.shape)}".removeprefix("torch.") for t in (a, b)]
        return INFINITE, " → ".join(kinds)
    if torch.equal(a, b):
        return None
    gap = a.double() - b.double()
    norm, distance = a.double().norm().item(), gap.norm().item()
    relative = distance / norm if norm else INFINITE
    line = f"max |a - b| {gap.abs().max().item():.1e}, ‖a - b‖/‖a‖ {relative:.1e}"
    return distance if distance == distance else INFINITE, line
