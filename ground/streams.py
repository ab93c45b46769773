"""Counter-based random numbers: every number is a pure function of (seed, purpose, step, index).

Nothing here has state, so a process draws only its own slice, in any order, on any device, and
two draws meet only if their keys do. The generator is Philox4x32-10 (Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", SC 2011), written in int64 tensor arithmetic: one 128-bit
counter gives four words of 32 bits.

    counter = (block, index, step, purpose)        key = (low and high word of the seed)

Each field has 32 bits and a place of its own: different keys never share a counter.
"""

import math
import zlib

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ground.endings import Mistake

MASK = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)


Words = tuple[Tensor, Tensor, Tensor, Tensor]
Step = int | Int[Tensor, ""]  # a tensor, on the device of the indices, is read by kernels alone


def philox(counter: Words, key: tuple[int, int], rounds: int = 10) -> Words:
    """Philox4x32 of four int64 tensors of words in [0, 2³²), whose shapes broadcast.

    int64 products wrap, but the bits used stay right; what an XOR or a mask will cut anyway is
    not cut before. The first rounds work on the small, not yet broadcast, words.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(rounds):
        product0, product1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0 = _mix(product1 >> 32, c1, k0)
        c2 = _mix(product0 >> 32, c3, k1)
        c1, c3 = product1, product0
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return c0, c1 & MASK, c2, c3 & MASK


def _mix(high: Tensor, low: Tensor, key: int) -> Tensor:
    return (high ^ low).bitwise_xor_(key).bitwise_and_(MASK)


def _blocks(
    seed: int, purpose: str, step: Step, index: Tensor, blocks: int, rounds: int = 10
) -> list[Tensor]:
    """The four words of each of `blocks` counters per index: int64, four times (n, blocks), made on
    the device of the indices, to which nothing is copied."""
    if not 0 <= seed < 1 << 64:
        raise Mistake(f"seed: got {seed}, allowed are whole numbers from 0 to 2**64 - 1")
    block = torch.arange(blocks, device=index.device)[None]
    fixed = (_word(step, index), _word(zlib.crc32(purpose.encode()), index))
    counter = (block, index[:, None], *fixed)
    parts = philox(counter, (seed & MASK, seed >> 32), rounds)
    return [part.expand(len(index), blocks) for part in parts]


def _word(value: Step, index: Tensor) -> Int[Tensor, "1 1"]:
    if isinstance(value, Tensor):
        return value.view(1, 1)
    return torch.full((1, 1), value, device=index.device)


def words(
    seed: int, purpose: str, step: Step, index: Int[Tensor, " n"], width: int
) -> Int[Tensor, "n width"]:
    """Draw `width` 32-bit words per index. seed in [0, 2⁶⁴), step and index in [0, 2³²)."""
    parts = _blocks(seed, purpose, step, index, -(-width // 4))
    return torch.stack(parts, dim=-1).flatten(1)[:, :width]


def uniform(
    seed: int, purpose: str, step: Step, index: Int[Tensor, " n"], width: int = 1
) -> Float[Tensor, "n width"]:
    """Draw float32 uniforms in [0, 1) on a grid of 2⁻²⁴: the same bits on every device."""
    return (words(seed, purpose, step, index, width) >> 8).to(torch.float32) * 2.0**-24


def normal(
    seed: int, purpose: str, step: Step, index: Int[Tensor, " n"], width: int
) -> Float[Tensor, "n width"]:
    """Draw float32 standard normals (Box–Muller), equal across devices up to rounding in log and
    cos."""
    pairs = -(-width // 2)
    u = uniform(seed, purpose, step, index, 2 * pairs)
    radius = torch.sqrt(-2.0 * torch.log1p(-u[:, :pairs]))
    angle = 2.0 * math.pi * u[:, pairs:]
    return torch.cat((radius * torch.cos(angle), radius * torch.sin(angle)), dim=1)[:, :width]


def coarse_normal(
    seed: int, purpose: str, step: Step, index: Int[Tensor, " n"], width: int
) -> Float[Tensor, "n width"]:
    """Draw float32 standard normals of 16 bits each, within ±4.4, for noise on millions of pixels.

    By the inverse of the distribution function; three times as fast as `normal`.
    """
    middle = _halves(seed, purpose, step, index, width).add_(0.5).mul_(2.0**-15)
    return middle.erfinv_().mul_(math.sqrt(2))


def coarse_uniform(
    seed: int, purpose: str, step: Step, index: Int[Tensor, " n"], width: int
) -> Float[Tensor, "n width"]:
    """Draw float32 uniforms in [0, 1) on a grid of 2⁻¹⁶, for masks of millions of numbers."""
    return _halves(seed, purpose, step, index, width).mul_(2.0**-16).add_(0.5)


def _halves(
    seed: int, purpose: str, step: Step, index: Int[Tensor, " n"], width: int
) -> Float[Tensor, "n width"]:
    """Whole numbers in [−2¹⁵, 2¹⁵) as float32: eight from a counter, by seven rounds of Philox, the
    fewest that pass all tests of its authors (`words` has ten)."""
    parts = _blocks(seed, purpose, step, index, -(-width // 8), rounds=7)
    halves = torch.cat([part.to(torch.int32).view(torch.int16) for part in parts], dim=1)
    return halves[:, :width].to(torch.float32)


def integers(
    seed: int, purpose: str, step: Step, index: Int[Tensor, " n"], high: int
) -> Int[Tensor, " n"]:
    """Draw int64 in [0, high), high ≤ 2³¹, from 32 bits (bias below high · 2⁻³²)."""
    return (words(seed, purpose, step, index, 1)[:, 0] * high) >> 32


def torch_seed(seed: int) -> int:
    """What to seed torch's own generator with, in [0, 2³²): of a seed it keeps the low 32 bits.

    A seed below 2³² is itself; of a longer one all bits decide a word, so that two that end alike
    do not draw alike.
    """
    if seed < 1 << 32:
        return seed
    return int(words(seed, "torch.seed", 0, torch.zeros(1, dtype=torch.int64), 1))


def permutation(
    seed: int, purpose: str, step: int, length: int, device: torch.device | None = None
) -> Int[Tensor, " length"]:
    """A random order of range(length): indices sorted by 62-bit keys. The same on every device."""
    high, low = words(seed, purpose, step, torch.arange(length, device=device), 2).unbind(-1)
    return torch.argsort((high << 30) ^ (low >> 2), stable=True)
