"""Conditioners: rows of token ids or of numbers → what the U-Net is told of each image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from diffusion.prompts import SPECIAL
from diffusion.rendering import Rendering
from diffusion.text_encoders import always_mask, hidden_size

NUM_FREQUENCIES = 6  # the finest of 32 (half) periods to a span: an image of 32 px has one a pixel
ROUNDING = 1e-5  # of a span: numbers at its very ends may round to beyond them

NumberKind = Literal["vector", "one_hot", "embeddings", "coordinates"]


@dataclass(frozen=True)
class Condition:
    """What the U-Net sees of n conditions.

    Attributes:
        h: float32 (n, d), the one embedding beside that of the time.
        tokens: float32 (n, l, c), for cross-attention; None: there is none.
        mask: bool (n, l), False at padding.
        rendered: float32 (n, k, size, size), channels beside the noisy image; None: there are none.
        penalty: float32 (n,), what training adds to the loss of each image; None: nothing.
    """

    h: Float[Tensor, "n d"]
    tokens: Float[Tensor, "n l c"] | None = None
    mask: Bool[Tensor, "n l"] | None = None
    rendered: Float[Tensor, "n k size size"] | None = None
    penalty: Float[Tensor, " n"] | None = None

    def rows(self, index: Int[Tensor, " m"]) -> "Condition":
        """Those of some conditions, by number, on the device of both."""
        parts = (self.h, self.tokens, self.mask, self.rendered, self.penalty)
        return Condition(*(None if part is None else part[index] for part in parts))  # type: ignore[arg-type]


class TextConditioner(nn.Module):
    """Token ids → Condition, by a text encoder whose config says how h is pooled:

    words: the sum of the embeddings of the words, so new sets of words compose;
    end: the last hidden state at the end token, as CLIP does;
    mean: the mean of the last hidden states, padding left out (for T5, which has no such token).

    A frozen encoder has no gradients, never leaves eval mode, and encodes each different row of
    ids once for as long as its weights stay as they are. It reads the ids for that, so a training
    asks for all conditions before its first step (`known_conditions`).
    """

    rendered_channels = 0

    def __init__(self, text_encoder: Any, frozen: bool = False):
        super().__init__()
        self.text_encoder, self.frozen = text_encoder, frozen
        self.width = self.token_width = hidden_size(text_encoder.config)
        self._known: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}
        self._known_of: list[tuple] = []
        always_mask(text_encoder)
        if frozen:
            text_encoder.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "TextConditioner":
        super().train(mode)
        if self.frozen:
            self.text_encoder.eval()
        return self

    def forward(self, input_ids: Int[Tensor, "n l"]) -> Condition:
        h, tokens = self._recall(input_ids) if self.frozen else self._encode(input_ids)
        return Condition(h, tokens, self._mask(input_ids))

    def _encode(self, input_ids: Int[Tensor, "n l"]) -> tuple[Tensor, Tensor]:
        """h and tokens."""
        mask = self._mask(input_ids)
        tokens = self.text_encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
        return self._pool(input_ids, tokens, mask), tokens

    def _mask(self, input_ids: Int[Tensor, "n l"]) -> Bool[Tensor, "n l"]:
        """True up to the first end token: some tokenizers pad with end tokens."""
        ends = input_ids == self.text_encoder.config.eos_token_id
        return ends.cumsum(dim=1) - ends.long() == 0

    def _pool(self, input_ids: Tensor, tokens: Tensor, mask: Tensor) -> Float[Tensor, "n d"]:
        """h. Not CLIP's `pooler_output`, which is that of the largest id if eos_token_id is 2."""
        pooling = self.text_encoder.config.pooling
        if pooling == "words":
            words = self.text_encoder.get_input_embeddings()(input_ids)
            return (words * (input_ids >= len(SPECIAL))[..., None]).sum(dim=1)
        if pooling == "end":
            return tokens[torch.arange(len(tokens), device=tokens.device), mask.sum(dim=1) - 1]
        return (tokens * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)

    @torch.compiler.disable
    @torch.no_grad()
    def _recall(self, input_ids: Int[Tensor, "n l"]) -> tuple[Tensor, Tensor]:
        """`_encode`, of every different row once, alone and in float32: bits that do not depend
        on what else is encoded, so a run that was stopped goes on as it would have."""
        self._forget_old_weights()
        rows = [tuple(row) for row in input_ids.tolist()]
        with torch.autocast(input_ids.device.type, enabled=False):
            for row in {*rows} - self._known.keys():
                self._known[row] = self._encode(torch.tensor([row], device=input_ids.device))
        h, tokens = zip(*(self._known[row] for row in rows), strict=True)
        return torch.cat(h), torch.cat(tokens)

    def _forget_old_weights(self) -> None:
        """Moving the encoder, or loading other weights into it, changes what this compares."""
        weights = [(w.device, w.data_ptr(), w._version) for w in self.text_encoder.parameters()]
        if weights != self._known_of:
            self._known, self._known_of = {}, weights


class NumberConditioner(ModelMixin, ConfigMixin):
    """Rows of k numbers, float32 (n, k) → Condition with h (n, width). A row of NaN is the null:
    a learned embedding, `null`.

    Args:
        kind: vector, one_hot: an MLP (arXiv:2406.19370);
            embeddings: one-hot; a learned vector per value and an MLP per concept, summed over
                the concepts that are named; one whose entries are all 0 is not (arXiv:2310.09336);
            coordinates: each coordinate's sinusoidal encoding, together through an MLP. One
                outside its span is null, and has a learned encoding (arXiv:2408.13256).
        width: d, of h.
        default, words: the row of a prompt that says nothing and what each word sets; k is the
            length of `default`. For `diffusion.prompts.NumberPrompts`, kept here so that a stored
            conditioner can read prompts; without words they are the coordinates themselves, for
            `CoordinatePrompts`.
        counts: of the values of each concept, in order, for `embeddings`.
        spans: lowest and highest number of each coordinate, for `coordinates`.
        periodic: of each coordinate, whether both ends of its span are the same place.
        shift, scale: of each number of a vector, which the layers see as (number − shift) · scale;
            without them as it is.
    """

    token_width = None  # no cross-attention
    rendered_channels = 0  # beside the noisy image

    @register_to_config
    def __init__(
        self,
        kind: NumberKind,
        width: int,
        default: Sequence[float],
        words: dict[str, dict[str, float]],
        counts: Sequence[int] = (),
        spans: Sequence[Sequence[float]] = (),
        periodic: Sequence[bool] = (),
        shift: Sequence[float] = (),
        scale: Sequence[float] = (),
    ):
        super().__init__()
        self.width, self.null = width, nn.Parameter(torch.zeros(width))
        self.layers: nn.Module
        if kind == "embeddings":
            self.layers = _ConceptEmbeddings(tuple(counts), width)
        elif kind == "coordinates":
            self.layers = nn.Sequential(
                _Sinusoids(spans, periodic), _mlp(len(spans) * _Sinusoids.width, width)
            )
        else:
            self.layers = _mlp(len(default), width)

    @property
    def encoding(self) -> "_Sinusoids":
        """How coordinates are encoded; of that kind alone."""
        assert isinstance(self.layers, nn.Sequential) and isinstance(self.layers[0], _Sinusoids)
        return self.layers[0]

    def forward(self, numbers: Float[Tensor, "n k"]) -> Condition:
        null = numbers.isnan().all(dim=1, keepdim=True)
        # the layers never see a NaN: behind a `where` alone its gradient would still be NaN
        numbers = numbers.masked_fill(null, 0.0)
        if self.config.scale:
            shift, scale = _numbers_like(numbers, [self.config.shift, self.config.scale])
            numbers = (numbers - shift) * scale
        if self.config.kind != "coordinates":  # which bf16 would move: their encoding is rounded
            numbers = numbers.to(self.null.dtype)
        return Condition(torch.where(null, self.null, self.layers(numbers)))


class RenderingConditioner(NumberConditioner):
    """Conditioner of `coordinates` that renders each of them alone, too (arXiv:2501.18797).

    Its Condition has h, as ever; `rendered`, an image of each coordinate, 0 of one that is null;
    and `penalty`, the weighted loss of those that are not (`rendering.low_rank_loss`).

    Args:
        size: of an image, in px.
        weight: of the loss, above 0.
        others: as of `NumberConditioner`.
    """

    @register_to_config
    def __init__(
        self,
        kind: NumberKind,
        width: int,
        default: Sequence[float],
        words: dict[str, dict[str, float]],
        counts: Sequence[int] = (),
        spans: Sequence[Sequence[float]] = (),
        periodic: Sequence[bool] = (),
        shift: Sequence[float] = (),
        scale: Sequence[float] = (),
        size: int = 16,
        weight: float = 0.1,
    ):
        super().__init__(kind, width, default, words, counts, spans, periodic, shift, scale)
        self.rendered_channels = len(spans)
        self.renderings = nn.ModuleList(Rendering(_Sinusoids.width, width, size) for _ in spans)

    def forward(self, numbers: Float[Tensor, "n k"]) -> Condition:
        encoded, null = self.encoding.encode(numbers)
        parts = zip(self.renderings, encoded.to(self.null.dtype).unbind(1), strict=True)
        made = [rendering(own) for rendering, own in parts]
        images, losses = (torch.stack(each, dim=1) for each in zip(*made, strict=True))
        return Condition(
            super().forward(numbers).h,
            rendered=images * ~null[..., None, None],
            penalty=self.config.weight * (losses * ~null).sum(dim=1),
        )


@torch.no_grad()
def known_conditions(conditioner: Any, inputs: Tensor) -> Condition | None:
    """What a conditioner tells of each of these rows, if that never changes; else None."""
    frozen = isinstance(conditioner, TextConditioner) and conditioner.frozen
    return conditioner(inputs) if frozen else None


def _numbers_like(x: Tensor, rows: Sequence[Sequence[float]]) -> Float[Tensor, "rows columns"]:
    """Constants of a layer beside x: copied to its device once, not at every call."""
    return _constants(tuple(map(tuple, rows)), x.dtype, x.device)


@lru_cache(maxsize=256)
def _constants(
    rows: tuple[tuple[float, ...], ...], dtype: torch.dtype, device: torch.device
) -> Tensor:
    return torch.tensor(rows, dtype=dtype, device=device)


def _mlp(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width))


class _ConceptEmbeddings(nn.Module):
    """One-hot (n, k), concept after concept → (n, width): Σ over named concepts of MLP(vector)."""

    def __init__(self, counts: tuple[int, ...], width: int):
        super().__init__()
        self.counts = counts
        self.vectors = nn.ParameterList(torch.randn(count, width) for count in counts)
        self.mlps = nn.ModuleList(_mlp(width, width) for _ in counts)

    def forward(self, hot: Float[Tensor, "n k"]) -> Float[Tensor, "n d"]:
        parts = zip(hot.split(self.counts, dim=1), self.vectors, self.mlps, strict=True)
        terms = [(x != 0).any(dim=1, keepdim=True) * mlp(x @ vector) for x, vector, mlp in parts]
        return torch.stack(terms).sum(dim=0)


class _Sinusoids(nn.Module):
    """Coordinates (n, k) → (n, k · width): sin and cos of 1, 2, 4, … turns over the span of a
    periodic coordinate, of half as many over that of any other, whose ends differ."""

    width = 2 * NUM_FREQUENCIES  # of one coordinate

    def __init__(self, spans: Sequence[Sequence[float]], periodic: Sequence[bool]):
        super().__init__()
        self.spans, self.periodic = spans, periodic or [False] * len(spans)
        self.null = nn.Parameter(torch.zeros(len(spans), self.width))

    def forward(self, x: Float[Tensor, "n k"]) -> Float[Tensor, "n e"]:
        encoded, outside = self.encode(x)
        return torch.where(outside[..., None], self.null, encoded).flatten(1).to(self.null.dtype)

    def encode(self, x: Float[Tensor, "n k"]) -> tuple[Tensor, Bool[Tensor, "n k"]]:
        """Encode each coordinate, (n, k, width), and say which ones are null: outside their
        span."""
        low, high = _numbers_like(x, self.spans).unbind(dim=1)
        u = (x - low) / (high - low)
        outside = ~((u >= -ROUNDING) & (u <= 1 + ROUNDING))  # NaN too
        turns = 2.0 ** torch.arange(NUM_FREQUENCIES, device=x.device)
        turns = turns * _numbers_like(turns, [[1.0 if p else 0.5] for p in self.periodic])
        angle = 2 * math.pi * u.masked_fill(outside, 0.0)[..., None] * turns
        return torch.cat((angle.sin(), angle.cos()), dim=2), outside
