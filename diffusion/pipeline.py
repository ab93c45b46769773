"""A snapshot as people use it: prompts → images."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DDPMScheduler, DiffusionPipeline, UNet2DConditionModel
from jaxtyping import Float, UInt8
from torch import Tensor
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from data_gen import streams
from data_gen.endings import Mistake, nearest
from diffusion.conditioning import NULL_CAPTION, SPECIAL, CaptionConditioner, tokenize
from diffusion.model import Denoiser
from diffusion.sampling import guided, in_tiles, make_sampler, sample
from diffusion.snapshots import find_snapshot

VARIANTS = {"ema": "ema", "raw": None}  # what diffusers calls the two kinds of weights


class ConceptPipeline(DiffusionPipeline):
    """Stock parts, each loadable by its own library; `from_pretrained` reads a snapshot directory.

    Example:
        pipeline = ConceptPipeline.from_run("runs/quickstart", weights="ema")
        images = pipeline(["a small blue triangle"] * 4, seed=0)      # uint8 (4, 16, 16, 3)
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text_encoder: CLIPTextModel,
        tokenizer: PreTrainedTokenizerFast,
        scheduler: DDPMScheduler,
    ):
        super().__init__()
        self.register_modules(
            unet=unet, text_encoder=text_encoder, tokenizer=tokenizer, scheduler=scheduler
        )

    @classmethod
    def from_run(
        cls, run: str | Path, step: int | None = None, weights: str = "ema"
    ) -> "ConceptPipeline":
        """The snapshot of one step (None: the last). weights: "ema" or "raw".

        Raises Mistake if the run has no complete snapshot of that step.
        """
        return cls.load(find_snapshot(Path(run) / "snapshots", step), weights)

    @classmethod
    def from_pretrained(
        cls, directory: str | Path, weights: str = "raw", **options: Any
    ) -> "ConceptPipeline":
        """One snapshot directory, on the CPU. weights: "ema" or "raw"; else Mistake."""
        if weights not in VARIANTS:
            raise Mistake(f"weights: got {weights!r}, allowed {', '.join(VARIANTS)}")
        return super().from_pretrained(directory, **{"variant": VARIANTS[weights], **options})

    @classmethod
    def load(cls, directory: Path, weights: str) -> "ConceptPipeline":
        """One snapshot directory, on the GPU if there is one; weights: "ema" or "raw"."""
        diffusers.utils.logging.disable_progress_bar()  # four small files need none
        pipeline = cls.from_pretrained(directory, weights)
        return pipeline.to("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        size = self.unet.config.sample_size
        return (self.unet.config.in_channels, size, size)

    @torch.no_grad()
    def __call__(
        self,
        prompts: Sequence[str],
        noise: Float[Tensor, "n 3 h w"] | None = None,
        *,
        seed: int = 0,
        sampler: str = "ddim",
        num_inference_steps: int = 20,
        guidance_scale: float = 1.0,
        check: Callable[[], None] = lambda: None,
    ) -> UInt8[Tensor, "n h w 3"]:
        """One image per prompt. noise: x_T; None: image k starts from (seed, k).

        Images do not depend on what else is asked for: see `in_tiles`. check: called before
        every evaluation of the network; what it raises ends the sampling.
        """
        if noise is None:
            index = torch.arange(len(prompts))
            width = torch.Size(self.image_shape).numel()
            noise = streams.normal(seed, "pipeline", 0, index, width).view(-1, *self.image_shape)
        self._check_words(prompts)
        denoiser = Denoiser(self.unet, CaptionConditioner(self.text_encoder)).eval()
        null_ids = tokenize(self.tokenizer, [NULL_CAPTION]).to(self.device)

        def draw(x_T: Tensor, input_ids: Tensor) -> Tensor:
            scheduler = make_sampler(sampler, self.scheduler.config, num_inference_steps)
            denoise = guided(denoiser, input_ids, null_ids, guidance_scale)
            return sample(denoise, scheduler, x_T, check)

        input_ids = tokenize(self.tokenizer, prompts)
        x_0 = in_tiles(draw, noise.to(self.device), input_ids.to(self.device))
        pixels = ((x_0 / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).cpu()

    def _check_words(self, prompts: Sequence[str]) -> None:
        """Mistake for a word the tokenizer does not know, or too many words."""
        vocabulary = tuple(word for word in self.tokenizer.get_vocab() if word not in SPECIAL)
        for prompt in prompts:
            words = prompt.split()
            for word in words:
                if word not in vocabulary:
                    hint = nearest(word, vocabulary)
                    raise Mistake(f"prompt {prompt!r}: unknown word {word!r}{hint}")
            if len(words) > self.tokenizer.model_max_length - 2:
                limit = self.tokenizer.model_max_length - 2
                raise Mistake(f"prompt {prompt!r}: more than {limit} words")
