"""Identity of an experiment: what makes another one under the same name, and how two configs
differ."""

from typing import Any

from diffusion.train_config import depends_on_max_steps
from studies.experiment.config import Config, to_dict
from studies.worlds.registry import KINDS


def identity(config: Config) -> dict[str, Any]:
    """Return the part of a config that makes another experiment under the same name if it
    changes."""
    data = to_dict(config)
    keep = {key: data[key] for key in ("seed", "world", "captions", "model", "objective")}
    places = KINDS[config.world.kind].places
    keep["world"] = {key: value for key, value in data["world"].items() if key not in places}
    free = {"state_every", "log_every", "tracker", "threads", "channels_last", "cuda_graph"}
    if config.train.reduction == "all_reduce":  # in_order, it is what fixes the bits
        free.add("micro_batch_size")
    if not depends_on_max_steps(config.train):
        free.add("max_steps")
    return {**keep, "train": {k: v for k, v in data["train"].items() if k not in free}}


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Return a line such as 'train.batch_size: 64 → 32' for every leaf that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = list(dict.fromkeys([*old, *new]))
        prefix = f"{key}." if key else ""
        return [d for n in names for d in differences(old.get(n), new.get(n), prefix + n)]
    return [] if old == new else [f"{key}: {old} → {new}"]
