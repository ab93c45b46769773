"""The networks: a conditioner and a conditional U-Net; and, to train them, an objective."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from diffusers import UNet2DConditionModel, UNet2DModel
from jaxtyping import Float
from torch import Tensor, nn

from diffusion.conditioning import Condition, NumberConditioner, TextConditioner
from diffusion.fast_layers import speed_up
from diffusion.model_config import GROUPS, ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.objectives import Objective, build_objective
from ground import streams

UNet: TypeAlias = UNet2DConditionModel | UNet2DModel  # type: ignore[valid-type]
Conditioner = TextConditioner | NumberConditioner


class Denoiser(nn.Module):
    """What the network makes of x_t, the time and a condition."""

    def __init__(self, unet: UNet, conditioner: nn.Module):
        super().__init__()
        self.unet = unet
        self.conditioner: Any = conditioner  # a Conditioner, or one of interventions.py
        speed_up(unet)

    def encode(self, inputs: Tensor) -> Condition:
        """Encode int64 (n, l) token ids, or float32 (n, k) numbers; as `conditioner` reads."""
        return self.conditioner(inputs)

    def predict(
        self,
        x_t: Float[Tensor, "n c h w"],
        t: Tensor,
        condition: Condition,
    ) -> Float[Tensor, "n c h w"]:
        """Predict what the network was trained to. x_t: float32; t: (n,) timesteps, whole or not.

        Weights in another precision compute in that; samplers go on in that of x_t.
        """
        dtype, looked_at = self.unet.dtype, x_t
        if condition.rendered is not None:
            looked_at = torch.cat((x_t, condition.rendered.to(x_t.dtype)), dim=1)
        told: dict[str, Any] = {"class_labels": condition.h.to(dtype)}
        if condition.tokens is not None:
            told["encoder_hidden_states"] = condition.tokens.to(dtype)
            told["encoder_attention_mask"] = condition.mask
        return self.unet(looked_at.to(dtype), t, **told).sample.to(x_t.dtype)


class DiffusionModel(Denoiser):
    """A denoiser and what it is trained for: one module to compile, average and save."""

    def __init__(self, unet: UNet, conditioner: Conditioner, objective: Objective):
        super().__init__(unet, conditioner)
        self.objective = objective

    def forward(
        self,
        x_0: Float[Tensor, "n c h w"],
        eps: Float[Tensor, "n c h w"],
        t: Tensor,
        inputs: Tensor | Condition,
    ) -> Float[Tensor, " n"]:
        """The loss of each image, with what its condition adds. inputs: for `encode`, or what it
        gives."""
        condition = inputs if isinstance(inputs, Condition) else self.encode(inputs)

        def predict(x_t: Tensor, t: Tensor) -> Tensor:
            return self.predict(x_t, t, condition).float()

        loss = self.objective.loss(predict, x_0, eps, t)
        return loss if condition.penalty is None else loss + condition.penalty


def networks(model: Denoiser) -> dict[str, nn.Module]:
    """The parts that have weights, by the names they have in a snapshot."""
    conditioner = model.conditioner
    if isinstance(conditioner, TextConditioner):
        return {"unet": model.unet, "text_encoder": conditioner.text_encoder}
    return {"unet": model.unet, "conditioner": conditioner}


def frozen_networks(model: Denoiser) -> list[str]:
    """Names of the networks that training leaves as they are."""
    return [
        name
        for name, part in networks(model).items()
        if not any(parameter.requires_grad for parameter in part.parameters())
    ]


def build_model(
    config: ModelConfig,
    objective: ObjectiveConfig,
    build_conditioner: Callable[[int], Conditioner],
    image_shape: Sequence[int],
    seed: int,
) -> DiffusionModel:
    """A new model whose weights are a function of the seed; the global generator is left alone.

    build_conditioner: width of the time embedding → a conditioner, whose h may have another.
    image_shape: (channels, size, size).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(streams.torch_seed(seed))
        conditioner = build_conditioner(4 * config.widths.channels[0])
        shown = conditioner.rendered_channels
        unet = build_unet(config, image_shape, conditioner.token_width, shown)
        return DiffusionModel(unet, conditioner, build_objective(objective))


def build_unet(
    config: ModelConfig, image_shape: Sequence[int], tokens: int | None, shown: int = 0
) -> UNet:
    """Build diffusers' U-Net for images (channels, size, size).

    tokens: width of what is read by cross-attention, and of h, which then passes an MLP into the
        time embedding; None: h alone, added to the time embedding as it is.
    shown: channels that it sees beside those of the noisy image.
    """
    size = config.widths
    attends = [level in size.attention_levels for level in range(len(size.channels))]
    shared = dict(
        sample_size=image_shape[-1],
        in_channels=image_shape[0] + shown,
        out_channels=image_shape[0],
        block_out_channels=size.channels,
        layers_per_block=size.layers_per_block,
        norm_num_groups=GROUPS,
        dropout=config.dropout,
    )
    if tokens is None:
        return UNet2DModel(
            **shared,
            down_block_types=_blocks(attends, "AttnDownBlock2D", "DownBlock2D"),
            up_block_types=_blocks(attends[::-1], "AttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=size.channels[-1] // size.attention_heads,
            class_embed_type="identity",
        )
    return UNet2DConditionModel(
        **shared,
        down_block_types=_blocks(attends, "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=_blocks(attends[::-1], "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=size.attention_heads,  # diffusers' name; it is the number of heads
        cross_attention_dim=tokens,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=tokens,
    )


def _blocks(attends: Sequence[bool], attending: str, plain: str) -> tuple[str, ...]:
    return tuple(attending if attend else plain for attend in attends)
