"""Studies of runs that take seconds."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BASE = """
  world: {num_images: 64, image_size_px: 8}
  train: {max_steps: 8, batch_size: 8, state_every: 2, warmup_steps: 2, threads: 1}
  train.snapshots: "linear:2"
  probe: {steps: 40, gate: 0.0, certificate_images: 64, width: 8}
  evaluate:
    num_inference_steps: 2
    images_per_combination: 2
    final_images_per_combination: 2
    snapshots: "linear:2"
    oracle: false
"""
GRID = "grid: {train.learning_rate: [0.003, 0.001]}"


def write_study(
    folder: Path, *, base: str = BASE, changes: str = GRID, seeds: int = 2, name: str = "nano"
) -> Path:
    """A study of configs/tiny.yaml, made as small as it runs: four runs that share one world."""
    path = folder / f"{name}.yaml"
    experiment = f"experiment: {ROOT}/configs/tiny.yaml"
    head = f"name: {name}\nquestion: Does it run?\n{experiment}\nseeds: {{count: {seeds}}}\n"
    path.write_text(f"{head}base: {base}\n{changes}\n")
    return path
