"""What `evaluate.sampler` and `--sampler` may be, readable without importing torch."""

from typing import Literal, get_args

SamplerName = Literal["ddim", "dpmsolver++"]
SAMPLER_NAMES: tuple[str, ...] = get_args(SamplerName)
