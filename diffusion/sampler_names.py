"""What `evaluate.sampler` and `--sampler` may be, readable without importing torch."""

from typing import Literal, get_args

from ground.endings import Mistake, nearest

SamplerName = Literal["ddim", "dpmsolver++", "ddpm", "sde-dpmsolver++", "unipc", "euler", "heun"]
SAMPLER_NAMES: tuple[str, ...] = get_args(SamplerName)


def check_sampler(key: str, name: str, num_inference_steps: int, num_timesteps: int) -> None:
    """Raises Mistake, beginning with `key`, for a sampler or a number of steps that cannot be.

    DDIM and ancestral sampling (ddpm) stride over the training timesteps by whole numbers: their
    steps must divide them.
    """
    if name not in SAMPLER_NAMES:
        hint = nearest(name, SAMPLER_NAMES)
        raise Mistake(f"{key}sampler: got {name!r}{hint}, allowed {', '.join(SAMPLER_NAMES)}")
    if not 1 <= num_inference_steps <= num_timesteps:
        got, allowed = num_inference_steps, f"1 to {num_timesteps}"
        raise Mistake(f"{key}num_inference_steps: got {got}, allowed {allowed}")
    if name in ("ddim", "ddpm") and num_timesteps % num_inference_steps:
        divisors = [n for n in range(1, num_timesteps + 1) if num_timesteps % n == 0]
        raise Mistake(
            f"{key}num_inference_steps: got {num_inference_steps}, allowed for {name}: divisors of "
            f"{num_timesteps}, {', '.join(map(str, divisors))}"
        )
