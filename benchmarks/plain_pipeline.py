"""Sampling written plainly, after diffusers' own pipelines: one prompt, one image, stock layers.

Spared against them: safety checks and guidance. Text or numbers are told to the U-Net as in
training (`diffusion.model.Denoiser`).
"""

import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from diffusion.conditioning import TextConditioner
from diffusion.pipeline import ConceptPipeline


class PlainPipeline(DiffusionPipeline):
    """DDIM with the weights of another pipeline; `prompts` reads what they were trained on."""

    def __init__(self, unet: nn.Module, scheduler: DDIMScheduler, conditioner: nn.Module):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler, conditioner=conditioner)
        self.set_progress_bar_config(disable=True)

    @classmethod
    def like(cls, ours: ConceptPipeline) -> "PlainPipeline":
        """Return a pipeline of the same weights in the layers of diffusers, on the same device."""
        unet = type(ours.unet).from_config(ours.unet.config)
        unet.load_state_dict(ours.unet.state_dict())
        spacing = {"timestep_spacing": "trailing", "clip_sample": True}
        scheduler = DDIMScheduler.from_config(ours.scheduler.config, **spacing)
        conditioner = ours.conditioner or TextConditioner(ours.text_encoder)
        plain = cls(unet.eval().to(ours.device), scheduler, conditioner.eval())
        plain.prompts = ours.prompts
        return plain

    @torch.no_grad()
    def __call__(
        self, prompt: str, num_inference_steps: int, latents: Float[Tensor, "1 c h w"] | None = None
    ) -> Image.Image:
        config = self.unet.config
        if latents is None:
            latents = torch.randn(1, config.in_channels, config.sample_size, config.sample_size)
        x_t = latents.to(self.unet.device)
        condition = self.conditioner(self.prompts.inputs([prompt]).to(self.unet.device))
        told = {"class_labels": condition.h}
        if condition.tokens is not None:
            told["encoder_hidden_states"] = condition.tokens
            told["encoder_attention_mask"] = condition.mask
        self.scheduler.set_timesteps(num_inference_steps, device=self.unet.device)
        for t in self.progress_bar(self.scheduler.timesteps):
            output = self.unet(x_t, t, **told).sample
            x_t = self.scheduler.step(output, t, x_t).prev_sample
        pixels = (x_t / 2 + 0.5).clamp(0, 1).cpu().permute(0, 2, 3, 1).numpy()
        return self.numpy_to_pil(pixels)[0]
