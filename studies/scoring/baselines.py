"""Baselines of a run's images: the memoriser, which is the floor of its scores. The ceiling is a
world's own images (studies/worlds/images.py).

The memoriser knows the training images by heart and nothing else: where a model's held-out
combinations read better than its, the model composes.
"""

from collections.abc import Callable

import torch
from diffusers import DDPMScheduler
from jaxtyping import UInt8
from torch import Tensor

from diffusion.memoriser import Memoriser
from diffusion.pipeline import to_pixels
from diffusion.samplers import make_sampler, step_noise
from diffusion.sampling import in_tiles, sample
from diffusion.snapshots import find_snapshot
from studies.run.opened import Experiment
from studies.run.plans import Plan
from studies.scoring.noise import image_index, paired_noise

# Draws some of a plan's images, uint8 (n, h, w, 3); calls its check before every network
# evaluation, and what that raises ends the drawing.
Draw = Callable[[range, Callable[[], None]], Tensor]


def memorised(experiment: Experiment, plan: Plan, device: torch.device) -> Draw:
    """Return what draws the memoriser's images of `memoriser_plan` on a device, from the same noise
    as the model and on its noise schedule."""
    directory = find_snapshot(experiment.run.snapshots, plan.step if plan.step >= 0 else None)
    schedule = DDPMScheduler.from_pretrained(directory, subfolder="scheduler")
    exam, data = experiment.exam, experiment.training
    count, shape = plan.images_per_combination, exam.image_shape
    wanted = exam.asked(count)
    made_by = f"memoriser: sampler {plan.sampler} with {plan.num_inference_steps} steps"
    memoriser = Memoriser(
        data.images.to(device),
        data.values,
        schedule.alphas_cumprod,
        schedule.config.prediction_type,
        exam.distance,
    )

    def draw_images(images: range, check: Callable[[], None]) -> UInt8[Tensor, "n h w c"]:
        def draw(x_T: Tensor, asked: Tensor, index: Tensor) -> Tensor:
            noise = step_noise(plan.eval_seed, index, shape)
            sampler = make_sampler(plan.sampler, schedule.config, plan.num_inference_steps, noise)
            return sample(lambda x_t, t: memoriser.denoise(x_t, t, asked), sampler, x_T, check)

        asked = wanted[images.start : images.stop]
        noise = paired_noise(plan.eval_seed, images, count, shape).to(device)
        return to_pixels(in_tiles(draw, noise, asked, image_index(images, count)), made_by)

    return draw_images
