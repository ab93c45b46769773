"""The denoiser: a conditioner and a conditional U-Net, one module to train, average and save."""

from collections.abc import Sequence

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float, Int
from torch import Tensor, nn

from diffusion.conditioning import (
    CaptionConditioner,
    Condition,
    PreTrainedTokenizerFast,
    build_text_encoder,
)
from diffusion.model_config import SIZES, ModelConfig


class Denoiser(nn.Module):
    """ε_θ(x_t, t, captions)."""

    def __init__(self, unet: UNet2DConditionModel, conditioner: CaptionConditioner):
        super().__init__()
        self.unet, self.conditioner = unet, conditioner

    def encode(self, input_ids: Int[Tensor, "n l"]) -> Condition:
        return self.conditioner(input_ids)

    def predict(
        self, x_t: Float[Tensor, "n 3 h w"], t: Int[Tensor, " n"], condition: Condition
    ) -> Float[Tensor, "n 3 h w"]:
        """x_t: float32, t: timesteps. Returns the predicted noise."""
        return self.unet(
            x_t,
            t,
            encoder_hidden_states=condition.tokens,
            encoder_attention_mask=condition.mask,
            class_labels=condition.pooled,
        ).sample

    def forward(
        self, x_t: Float[Tensor, "n 3 h w"], t: Int[Tensor, " n"], input_ids: Int[Tensor, "n l"]
    ) -> Float[Tensor, "n 3 h w"]:
        """`predict` of `encode`: what training wraps, averages gradients of, and calls."""
        return self.predict(x_t, t, self.encode(input_ids))


def build_denoiser(
    config: ModelConfig, tokenizer: PreTrainedTokenizerFast, image_size_px: int, seed: int
) -> Denoiser:
    """A new model whose weights are a function of the seed; the global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text_encoder = build_text_encoder(config, tokenizer)
        return Denoiser(build_unet(config, image_size_px), CaptionConditioner(text_encoder))


def build_unet(config: ModelConfig, image_size_px: int) -> UNet2DConditionModel:
    """diffusers' conditional U-Net; the pooled caption passes an MLP into the time embedding."""
    size = SIZES[config.size]
    attends = [level in size.attention_levels for level in range(len(size.channels))]
    return UNet2DConditionModel(
        sample_size=image_size_px,
        block_out_channels=size.channels,
        layers_per_block=size.layers_per_block,
        down_block_types=_blocks(attends, "DownBlock2D"),
        up_block_types=_blocks(attends[::-1], "UpBlock2D"),
        norm_num_groups=8,
        attention_head_dim=size.attention_heads,  # diffusers' name; it is the number of heads
        cross_attention_dim=size.text_width,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=size.text_width,
        in_channels=3,
        out_channels=3,
    )


def _blocks(attends: Sequence[bool], name: str) -> tuple[str, ...]:
    return tuple(f"CrossAttn{name}" if attend else name for attend in attends)
