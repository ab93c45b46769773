"""A snapshot as people use it: prompts → images."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DDPMScheduler, DiffusionPipeline
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from diffusion.composition import Composition, compose, needs_null
from diffusion.conditioning import NumberConditioner, TextConditioner
from diffusion.fast_layers import speed_up
from diffusion.model import Denoiser, DiffusionModel, UNet
from diffusion.prompts import CoordinatePrompts, NumberPrompts, Prompts, TextPrompts
from diffusion.samplers import make_sampler, step_noise
from diffusion.sampling import composed, in_tiles, sample, switched
from diffusion.snapshots import find_snapshot
from ground import streams
from ground.endings import Mistake

VARIANTS = {"ema": "ema", "raw": None}  # what diffusers calls the two kinds of weights


class ConceptPipeline(DiffusionPipeline):
    """Parts that load with their own libraries; `from_pretrained` reads a snapshot directory.

    Of a model that reads captions: text_encoder and tokenizer; of one that reads numbers:
    conditioner, which also knows what numbers the words of a prompt stand for, if it has words.
    null_learned: whether training showed the null condition (train.cond_dropout), which guidance
    and composition lead away from; None: not known, of snapshots of older versions.

    Example:
        pipeline = ConceptPipeline.from_run("runs/quickstart", weights="ema")
        images = pipeline(["a small blue triangle"] * 4, seed=0)      # uint8 (4, 16, 16, 3)
    """

    _told_by: Any = None  # a conditioner in place of its own
    _optional_components = ["text_encoder", "tokenizer", "conditioner"]

    def __init__(
        self,
        unet: UNet,
        scheduler: DDPMScheduler,
        text_encoder: PreTrainedModel | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        conditioner: NumberConditioner | None = None,
        null_learned: bool | None = None,
    ):
        super().__init__()
        self.register_to_config(null_learned=null_learned)
        self.register_modules(
            unet=unet,
            scheduler=scheduler,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            conditioner=conditioner,
        )
        speed_up(unet)

    @classmethod
    def of(
        cls, model: DiffusionModel, prompts: Prompts, null_learned: bool | None = None
    ) -> "ConceptPipeline":
        """Make a pipeline of the parts of a model in training; nothing is copied.

        A learned noise schedule is stored as it is, not averaged, whichever weights are loaded.
        """
        unet, scheduler = model.unet, model.objective.scheduler()
        if isinstance(model.conditioner, NumberConditioner):
            return cls(unet, scheduler, conditioner=model.conditioner, null_learned=null_learned)
        assert isinstance(prompts, TextPrompts)
        encoder = model.conditioner.text_encoder
        return cls(unet, scheduler, encoder, prompts.tokenizer, null_learned=null_learned)

    @classmethod
    def from_run(
        cls, run: str | Path, step: int | None = None, weights: str = "ema"
    ) -> "ConceptPipeline":
        """Load the snapshot of one step (None: the last). weights: "ema" or "raw".

        Raises Mistake if the run has no complete snapshot of that step.
        """
        return cls.load(find_snapshot(Path(run) / "snapshots", step), weights)

    @classmethod
    def from_pretrained(
        cls, directory: str | Path, weights: str = "raw", **options: Any
    ) -> "ConceptPipeline":
        """Load one snapshot directory, on the CPU. weights: "ema" or "raw"; else Mistake.

        options: as diffusers takes them. torch_dtype: in which the networks compute; samplers go
        on in float32.
        """
        if weights not in VARIANTS:
            raise Mistake(f"weights: got {weights!r}, allowed {', '.join(VARIANTS)}")
        return super().from_pretrained(directory, **{"variant": VARIANTS[weights], **options})

    @classmethod
    def load(cls, directory: Path, weights: str) -> "ConceptPipeline":
        """Load one snapshot directory, on the GPU if there is one; weights: "ema" or "raw"."""
        diffusers.utils.logging.disable_progress_bar()  # four small files need none
        pipeline = cls.from_pretrained(directory, weights)
        return pipeline.to("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def prompts(self) -> Prompts:
        """What reads this model's prompts."""
        if self.conditioner is None:
            return TextPrompts(self.tokenizer)
        config = self.conditioner.config
        if config.words:
            return NumberPrompts(config.default, config.words)
        return CoordinatePrompts(config.spans, config.periodic)

    def denoiser(self) -> Denoiser:
        """The networks as one module, in eval mode."""
        return Denoiser(self.unet, self._told_by or self.own_conditioner()).eval()

    def own_conditioner(self) -> NumberConditioner | TextConditioner:
        """What tells the network of a condition, as it was trained."""
        return self.conditioner or TextConditioner(self.text_encoder)

    def told_by(self, conditioner: torch.nn.Module) -> "ConceptPipeline":
        """The same networks, told of conditions by another conditioner (see interventions.py). It
        reads the same rows."""
        other = copy.copy(self)
        other._told_by = conditioner.to(self.device).eval()
        return other

    @property
    def image_shape(self) -> tuple[int, int, int]:
        size = self.unet.config.sample_size
        return (self.unet.config.out_channels, size, size)

    @torch.no_grad()
    def __call__(
        self,
        prompts: Sequence[str | Composition],
        noise: Float[Tensor, "n c h w"] | None = None,
        *,
        index: Int[Tensor, " n"] | None = None,
        seed: int = 0,
        sampler: str = "ddim",
        num_inference_steps: int = 20,
        guidance_scale: float = 1.0,
        before: Sequence[str | Composition] | None = None,
        switch_at: float = 0.0,
        check: Callable[[], None] = lambda: None,
    ) -> UInt8[Tensor, "n h w c"]:
        """One image per prompt, which may be a composition, as such or as text: see
        `parse_composition`. noise: x_T; None: image k starts from (seed, k).

        Images do not depend on what else is asked for: see `in_tiles`. What a sampler draws on
        the way comes from (seed, index), index: None is 0, 1, 2, …. before: what each image is
        asked for instead in the first steps, a share switch_at in [0, 1] of all, rounded to whole
        steps. check: called before every evaluation of the network; what it raises ends the
        sampling.

        Raises Mistake for a prompt that cannot be read, guidance or composition where the null
        condition was never learned, and images that are not finite.
        """
        if isinstance(prompts, str | Composition) or not prompts:
            raise Mistake(f"prompts: got {prompts!r}, allowed a list of one prompt or more")
        phases = [prompts] if before is None else [before, prompts]
        for asked in phases:
            self._check_null(asked, guidance_scale)
        index = torch.arange(len(prompts)) if index is None else index
        if noise is None:
            width = torch.Size(self.image_shape).numel()
            noise = streams.normal(seed, "pipeline", 0, index, width).view(-1, *self.image_shape)
        denoiser, null = self.denoiser(), self.prompts.inputs([""]).to(self.device)

        def draw(x_T: Tensor, places: Tensor, *told: Tensor) -> Tensor:
            drawn = step_noise(seed, places.to(x_T.device), self.image_shape)
            scheduler = make_sampler(sampler, self.scheduler.config, num_inference_steps, drawn)
            asked = zip(told[::2], told[1::2], strict=True)
            parts = [composed(denoiser, rows, weights, null) for rows, weights in asked]
            first = round(switch_at * len(scheduler.timesteps))
            return sample(switched(parts[0], parts[-1], first), scheduler, x_T, check)

        images = torch.empty(len(prompts), *self.image_shape, device=self.device)
        for places, told in self._alike(phases, guidance_scale):
            x_T = noise[places].to(self.device)
            images[places] = in_tiles(draw, x_T, index[places], *told)
        where = self.name_or_path or "this model"
        return to_pixels(images, f"{where}: sampler {sampler} with {num_inference_steps} steps")

    def _check_null(self, prompts: Sequence[str | Composition], guidance_scale: float) -> None:
        unlearned = self.config.null_learned is False
        for prompt in dict.fromkeys(prompts) if unlearned else ():
            if needs_null(compose(prompt), guidance_scale):
                raise Mistake(
                    f"prompt {str(prompt)!r} with guidance_scale {guidance_scale:g}: allowed are "
                    f"guidance_scale 1 and one term of weight 1; this model was trained with "
                    f"train.cond_dropout: 0 and never learned the null condition"
                )

    def _alike(
        self, phases: Sequence[Sequence[str | Composition]], guidance_scale: float
    ) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """Places of images that ask the network for as many terms, the null counted, in every
        phase: so no image's bits depend on its company. With them the inputs (n, terms, k) and
        weights (n, terms) of each phase in turn."""
        asked = [[compose(prompt) for prompt in prompts] for prompts in phases]
        texts = {"": None} | {t: None for own in asked for one in own for t in one.prompts}
        rows = dict(zip(texts, self.prompts.inputs([*texts]).to(self.device), strict=True))
        terms = [[_scaled(one, guidance_scale) for one in own] for own in asked]
        kinds = [tuple(map(_kind, image)) for image in zip(*terms, strict=True)]
        for kind in dict.fromkeys(kinds):
            places = [i for i, other in enumerate(kinds) if other == kind]
            told = [part for own in terms for part in _told([own[i] for i in places], rows)]
            yield torch.tensor(places), told


Terms = Sequence[tuple[str, float]]  # prompts and their weights


def _scaled(asked: Composition, guidance_scale: float) -> Terms:
    """The terms that count; of none the null, which weighs nothing."""
    pairs = [(text, guidance_scale * weight) for text, weight in asked.terms]
    return [pair for pair in pairs if pair[1]] or [("", 0.0)]


def _kind(terms: Terms) -> tuple[int, float | None]:
    return len(terms), terms[0][1] if len(terms) == 1 else None


def _told(terms: Sequence[Terms], rows: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Inputs (n, terms, k) and weights (n, terms) of images with equally many terms."""
    inputs = [torch.stack([rows[text] for text, _ in one]) for one in terms]
    weights = [[weight for _, weight in one] for one in terms]
    return torch.stack(inputs), torch.tensor(weights, dtype=torch.float64)


def to_pixels(x_0: Float[Tensor, "n c h w"], made_by: str) -> UInt8[Tensor, "n h w c"]:
    """Convert images from [−1, 1] to [0, 255], on the CPU.

    made_by: snapshot, sampler and its steps. Raises Mistake, which begins with it, if a number is
    not finite: it would become a black or white pixel, and be scored like one.
    """
    spoilt = int((~torch.isfinite(x_0)).flatten(1).any(dim=1).sum())
    if spoilt:
        raise Mistake(
            f"{made_by} drew numbers that are not finite in {spoilt} of {len(x_0)} images; use "
            f"another num_inference_steps, sampler, guidance_scale or snapshot"
        )
    pixels = ((x_0 / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).cpu()
