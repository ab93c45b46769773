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

from data_gen.endings import Mistake

MASK = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10


def _multiply(word: Tensor, multiplier: int) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of word · multiplier; int64 wraps, its bits stay right."""
    product = word * multiplier
    return (product >> 32) & MASK, product & MASK


def philox(counter: Int[Tensor, "*n 4"], key: tuple[int, int]) -> Int[Tensor, "*n 4"]:
    """Philox4x32-10. counter: int64 words in [0, 2³²); returns int64 words in [0, 2³²)."""
    c0, c1, c2, c3 = counter.unbind(-1)
    k0, k1 = key
    for _ in range(ROUNDS):
        high0, low0 = _multiply(c0, MULTIPLIERS[0])
        high1, low1 = _multiply(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return torch.stack((c0, c1, c2, c3), dim=-1)


def words(
    seed: int, purpose: str, step: int, index: Int[Tensor, " n"], width: int
) -> Int[Tensor, "n width"]:
    """`width` 32-bit words per index. seed in [0, 2⁶⁴), step and index in [0, 2³²)."""
    if not 0 <= seed < 1 << 64:
        raise Mistake(f"seed: got {seed}, allowed are whole numbers from 0 to 2**64 - 1")
    blocks = torch.arange(-(-width // 4), device=index.device)
    counter = torch.empty(len(index), len(blocks), 4, dtype=torch.int64, device=index.device)
    counter[..., 0], counter[..., 1] = blocks, index[:, None]
    counter[..., 2], counter[..., 3] = step, zlib.crc32(purpose.encode())
    return philox(counter, (seed & MASK, seed >> 32)).flatten(1)[:, :width]


def uniform(
    seed: int, purpose: str, step: int, index: Int[Tensor, " n"], width: int = 1
) -> Float[Tensor, "n width"]:
    """float32 uniforms in [0, 1) on a grid of 2⁻²⁴: the same bits on every device."""
    return (words(seed, purpose, step, index, width) >> 8).to(torch.float32) * 2.0**-24


def normal(
    seed: int, purpose: str, step: int, index: Int[Tensor, " n"], width: int
) -> Float[Tensor, "n width"]:
    """float32 standard normals (Box–Muller); across devices equal up to rounding in log and cos."""
    pairs = -(-width // 2)
    u = uniform(seed, purpose, step, index, 2 * pairs)
    radius = torch.sqrt(-2.0 * torch.log1p(-u[:, :pairs]))
    angle = 2.0 * math.pi * u[:, pairs:]
    return torch.cat((radius * torch.cos(angle), radius * torch.sin(angle)), dim=1)[:, :width]


def integers(
    seed: int, purpose: str, step: int, index: Int[Tensor, " n"], high: int
) -> Int[Tensor, " n"]:
    """int64 in [0, high), high ≤ 2³¹, from 32 bits (bias below high · 2⁻³²)."""
    return (words(seed, purpose, step, index, 1)[:, 0] * high) >> 32


def permutation(seed: int, purpose: str, step: int, length: int) -> Int[Tensor, " length"]:
    """A random order of range(length): indices sorted by 62-bit keys."""
    high, low = words(seed, purpose, step, torch.arange(length), 2).unbind(-1)
    return torch.argsort((high << 30) ^ (low >> 2), stable=True)
