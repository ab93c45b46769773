"""Command `scripts/render.py --predict`: what is learned first, said before any training."""

from collections.abc import Callable, Sequence
from pathlib import Path

from diffusion.model_config import ModelConfig
from ground.files import write_json
from studies.prediction.against import Instrument, compare, open_runs
from studies.prediction.moments import world_moments
from studies.prediction.prediction import predict
from studies.prediction.printed import comparison_lines, prediction_data, prediction_lines
from studies.worlds.images import WorldImages
from studies.worlds.kind import KindOfWorld


def say_prediction(
    world: KindOfWorld,
    images: WorldImages,
    model: ModelConfig,
    levels: Sequence[float],
    against: Sequence[Path],
    by: Instrument,
    out: Path | None,
    say: Callable[[str], None],
) -> None:
    """Print predictions at noise levels and, of runs, how far they agree; write them as JSON.

    Raises Mistake as `world_moments`, `open_runs` and `compare` do.
    """
    runs = open_runs(world, against) if against else []
    moments = world_moments(world, images, model)
    found = predict(moments, levels)
    say("\n".join(prediction_lines(moments, found)))
    comparison = compare(runs, levels, by) if runs else None
    if comparison:
        say("\n".join(comparison_lines(comparison)))
    if out:
        path = out.with_name(f"{out.name}.prediction.json")
        write_json(path, prediction_data(moments, found, comparison))
        say(f"wrote {path}")
