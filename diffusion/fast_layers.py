"""Layers of diffusers' U-Nets, faster on a CPU: the same functions of the same parameters.

`speed_up` exchanges the class of a layer and leaves its parameters, names and state dict as they
are, so weights saved from either load into the other. What makes the difference:

- Images stay in channels-last order from the first convolution to the last. oneDNN's convolutions
  then need no reordering of activations, 1x1 convolutions are matrix products, and going to the
  tokens of attention and back is a view. diffusers' own layers return to the other order at
  several places, and so pay for both.
- In bf16 only what gains by it is bf16: the convolutions of more than one pixel and the
  activations before them. torch's bf16 kernels for channels-last GroupNorm, small products and
  the backward pass of attention are slower than those for float32, up to ten times.
- Group norm, SiLU and the change to bf16 are one pass over the image (`group_norm`).
- No division by factors of one, and nothing is padded or enlarged before it is convolved if it
  can be after.

On other devices than CPUs every layer does what diffusers does. So does a layer whose parts must
be called themselves, because they have hooks or were exchanged, where it would only use their
weights. What a part gave is never changed in place.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.upsampling import Upsample2D
from jaxtyping import Float
from torch import Tensor, nn

from diffusion.group_norm import group_norm


def speed_up(model: nn.Module) -> None:
    """Exchange, in place, every layer below `model` of which there is a faster one."""
    for module in model.modules():
        for fast in FAST:
            if type(module) is fast.__base__ and fast.covers(module):
                module.__class__ = fast
        if isinstance(module, Attention) and type(module.processor) is AttnProcessor2_0:
            if FastAttention.covers(module):
                module.set_processor(FastAttention())


def channels_last(
    x: Float[Tensor, "n c h w"], dtype: torch.dtype | None = None
) -> Float[Tensor, "n c h w"]:
    return x.to(dtype=dtype or x.dtype, memory_format=torch.channels_last)


def _tokens(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w c"]:
    return x.permute(0, 2, 3, 1)


def _image(tokens: Float[Tensor, "n h w c"]) -> Float[Tensor, "n c h w"]:
    return tokens.permute(0, 3, 1, 2)


_compute_dtype: torch.dtype | None = None  # a global, of which torch.compile knows when it changes


@contextmanager
def convolutions_in(dtype: torch.dtype) -> Iterator[None]:
    """Let fast layers on a CPU convolve in `dtype` within; what they take and give stays as it
    is."""
    global _compute_dtype
    before, _compute_dtype = _compute_dtype, dtype
    try:
        yield
    finally:
        _compute_dtype = before


def _convolve(
    x: Float[Tensor, "n c h w"], weight: Tensor, bias: Tensor | None, **settings: Any
) -> Float[Tensor, "n k h2 w2"]:
    """In the dtype of the moment, which is that of the result."""
    dtype = _compute_dtype or weight.dtype
    x, kernel = channels_last(x, dtype), channels_last(weight, dtype)
    return F.conv2d(x, kernel, None if bias is None else bias.to(dtype), **settings)


def _has_hooks(module: nn.Module) -> bool:
    forward = module._forward_hooks or module._forward_pre_hooks
    return bool(forward or module._backward_hooks or module._backward_pre_hooks)


def _only_weights_matter(module: nn.Module) -> bool:
    """True if nothing would notice that a layer is not called, but computed from its weights."""
    plain = (nn.Linear, nn.Conv2d, nn.SiLU, FastConv2d, FastGroupNorm)
    return type(module) in plain and not _has_hooks(module)


class FastConv2d(nn.Conv2d):
    """A convolution whose input and output are channels-last; of single pixels, a product."""

    @staticmethod
    def covers(module: nn.Conv2d) -> bool:
        return module.padding_mode == "zeros"

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        if (
            self.kernel_size == self.stride == (1, 1)
            and self.padding == (0, 0)
            and self.groups == 1
        ):
            return _image(F.linear(_tokens(channels_last(x)), self.weight.flatten(1), self.bias))
        return self.convolve(x).to(self.weight)

    def convolve(self, x: Tensor) -> Tensor:
        """Convolve as `forward` on a CPU, but for the dtype of the result: that of the moment."""
        return _convolve(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )


class FastGroupNorm(nn.GroupNorm):
    """A group norm whose output is channels-last."""

    @staticmethod
    def covers(module: nn.GroupNorm) -> bool:
        return module.affine

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.ndim != 4:
            return super().forward(x)
        return group_norm(channels_last(x), self)


class FastResnetBlock2D(ResnetBlock2D):
    """Residual block conv2(σ(norm2(conv1(σ(norm1(x))) + embedding))) + shortcut(x)."""

    @staticmethod
    def covers(module: ResnetBlock2D) -> bool:
        return (
            module.time_embedding_norm == "default"
            and isinstance(module.nonlinearity, nn.SiLU)
            and module.upsample is None
            and module.downsample is None
            and module.output_scale_factor == 1
        )

    def forward(self, input_tensor: Tensor, temb: Tensor | None, *args, **kwargs) -> Tensor:
        if input_tensor.device.type != "cpu":
            return super().forward(input_tensor, temb, *args, **kwargs)
        x = channels_last(input_tensor)
        hidden, shift = self._activate(self.norm1, x), None
        unseen = all(map(_only_weights_matter, (self.conv1, self.norm2, self.nonlinearity)))
        if unseen and isinstance(self.conv1, FastConv2d):
            hidden = self.conv1.convolve(hidden)  # whose float32 copy norm2 has no need of
        else:
            hidden = self.conv1(hidden)
        if self.time_emb_proj is not None and temb is not None:
            shift = self.time_emb_proj(temb if self.skip_time_act else self.nonlinearity(temb))
        hidden = self.conv2(self.dropout(self._activate(self.norm2, hidden, shift)))
        return hidden + (x if self.conv_shortcut is None else self.conv_shortcut(x))

    def _activate(self, norm: nn.GroupNorm, x: Tensor, shift: Tensor | None = None) -> Tensor:
        """σ(norm(x + shift)), in the dtype of the convolution that follows."""
        dtype = _compute_dtype or self.conv2.weight.dtype
        if _only_weights_matter(norm) and _only_weights_matter(self.nonlinearity):
            return group_norm(x, norm, shift=shift, silu=True, dtype=dtype)
        x = x if shift is None else x + shift[:, :, None, None]
        return self.nonlinearity(norm(x).to(dtype))


class FastUpsample2D(Upsample2D):
    """Every pixel four times, then a 3x3 convolution: computed before the pixels are repeated.

    Output rows 2i and 2i + 1 look at two input rows each, i - 1 and i, or i and i + 1, in which
    two of the three rows of the kernel have met. So one 2x2 convolution with four outputs per
    channel, one per corner, holds all of it, at 16/36 of the multiplications.
    """

    @staticmethod
    def covers(module: Upsample2D) -> bool:
        conv = module.conv if module.name == "conv" else None
        return (
            module.norm is None
            and module.interpolate
            and isinstance(conv, nn.Conv2d)
            and (conv.kernel_size, conv.padding, conv.groups) == ((3, 3), (1, 1), 1)
            and conv.padding_mode == "zeros"
        )

    def forward(
        self, hidden_states: Tensor, output_size: int | None = None, *args, **kwargs
    ) -> Tensor:
        stock = hidden_states.device.type != "cpu" or output_size is not None
        if stock or not _only_weights_matter(self.conv):
            return super().forward(hidden_states, output_size, *args, **kwargs)
        weight, bias = self.conv.weight, self.conv.bias
        meet = torch.tensor(MEET, dtype=weight.dtype)
        corners = torch.einsum("apk,bql,oikl->aboipq", meet, meet, weight).flatten(0, 2)
        bias = None if bias is None else bias.repeat(4)
        return _Interleave.apply(_convolve(hidden_states, corners, bias, padding=1).to(weight))


MEET = (((1, 0, 0), (0, 1, 1)), ((1, 1, 0), (0, 0, 1)))  # [row of four][input row][kernel row]


class _Interleave(torch.autograd.Function):
    """(n, 4c, h + 1, w + 1) → (n, c, 2h, 2w): corner (a, b) of pixel (i, j) is at (i+a, j+b)."""

    @staticmethod
    def forward(ctx, y: Tensor) -> Tensor:
        tokens = _tokens(channels_last(y))
        ctx.shape = tokens.shape
        n, h, w, c = _doubled(tokens)
        return _image(_corners(tokens).reshape(n, h, w, c))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        tokens = gradient.new_zeros(ctx.shape)
        corners = _corners(tokens)
        corners.copy_(_tokens(gradient).reshape(corners.shape))
        return _image(tokens)


def _doubled(tokens: Tensor) -> tuple[int, int, int, int]:
    n, h, w, c = tokens.shape
    return n, 2 * (h - 1), 2 * (w - 1), c // 4


def _corners(tokens: Float[Tensor, "n h w c"]) -> Float[Tensor, "n h-1 2 w-1 2 c//4"]:
    """A view of contiguous tokens by pixel and corner."""
    n, h, w, c = tokens.shape
    row, part = w * c, c // 4
    return tokens.as_strided(
        (n, h - 1, 2, w - 1, 2, part), (h * row, row, row + 2 * part, c, c + part, 1)
    )


class FastTransformer2DModel(Transformer2DModel):
    """A transformer over pixels, whose output stays channels-last."""

    @staticmethod
    def covers(module: Transformer2DModel) -> bool:
        return module.is_input_continuous

    def _get_output_for_continuous_inputs(
        self, hidden_states, residual, batch_size, height, width, inner_dim
    ):
        if hidden_states.device.type != "cpu":
            return super()._get_output_for_continuous_inputs(
                hidden_states, residual, batch_size, height, width, inner_dim
            )
        shape = (batch_size, height, width, inner_dim)
        if self.use_linear_projection:
            return _image(self.proj_out(hidden_states).view(shape)) + residual
        return self.proj_out(_image(hidden_states.view(shape))) + residual


class FastAttention(AttnProcessor2_0):
    """Attention of tokens, or of pixels in whatever order."""

    @staticmethod
    def covers(attn: Attention) -> bool:
        return attn.spatial_norm is None and attn.norm_q is None and attn.norm_k is None

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        *args,
        **kwargs,
    ) -> Tensor:
        """attention_mask: float (n, 1, l), added to the scores."""
        projections = (attn.to_q, attn.to_k, attn.to_v)
        watched = attn.group_norm is not None and _has_hooks(attn.group_norm)
        stock = hidden_states.device.type != "cpu" or watched
        if stock or not all(map(_only_weights_matter, projections)):
            return super().__call__(
                attn, hidden_states, encoder_hidden_states, attention_mask, temb, *args, **kwargs
            )
        x = hidden_states if attn.group_norm is None else attn.group_norm(hidden_states)
        x = _tokens(x).flatten(1, 2) if x.ndim == 4 else x
        query, key, value = self._project(attn, x, encoder_hidden_states)
        mask = None if attention_mask is None else attention_mask[:, None].to(query.dtype)
        y = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        y = y.transpose(1, 2).flatten(2)
        y = attn.to_out[1](attn.to_out[0](y))
        if hidden_states.ndim == 4:
            y = _image(y.unflatten(1, hidden_states.shape[2:]))
        if attn.residual_connection:
            y = y + hidden_states
        return y if attn.rescale_output_factor == 1 else y / attn.rescale_output_factor

    def _project(self, attn: Attention, x: Tensor, context: Tensor | None) -> list[Tensor]:
        """Queries, keys and values, (n, heads, length, d); of one sequence in one product."""
        if context is None:
            parts = list(_linear(x, attn.to_q, attn.to_k, attn.to_v))
        else:
            context = attn.norm_encoder_hidden_states(context) if attn.norm_cross else context
            parts = [attn.to_q(x), *_linear(context, attn.to_k, attn.to_v)]
        return [part.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for part in parts]


def _linear(x: Tensor, *layers: nn.Linear) -> tuple[Tensor, ...]:
    """What several layers give of the same input, by one product with their joined weights."""
    biases: list[Tensor] = [layer.bias for layer in layers if layer.bias is not None]
    weight = torch.cat(tuple(layer.weight for layer in layers))
    joined = F.linear(x, weight, torch.cat(biases) if biases else None)
    return joined.split([layer.out_features for layer in layers], dim=-1)


FAST: tuple[Any, ...] = (
    FastConv2d,
    FastGroupNorm,
    FastResnetBlock2D,
    FastUpsample2D,
    FastTransformer2DModel,
)
