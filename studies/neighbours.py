"""Which training image a generated one is most like: has the model copied it?"""

import numpy as np

from analysis.report.build import Neighbour
from data_gen.dataset import Dataset
from data_gen.wording import Captioned
from studies.config import Config
from studies.plans import shown_plans
from studies.run_dir import RunDir
from studies.samples import load_samples

COMPARED = 4096  # training images beside a sample at once


def nearest_training_images(
    run: RunDir, config: Config, world: Captioned, data: Dataset
) -> list[Neighbour]:
    """For each held-out combination, sample 0 of the last snapshot beside its nearest neighbour.

    Distance: root mean square over pixels and channels, in grey levels.
    """
    samples = load_samples(shown_plans(config)[-1].samples_file(run))
    training = data.images.permute(0, 2, 3, 1).numpy()
    neighbours = []
    for combination in world.split.held_out:
        sample = samples[world.space.index(combination), 0]
        parts = (training[i : i + COMPARED] for i in range(0, len(training), COMPARED))
        distance = np.concatenate([_distance(part, sample) for part in parts])
        i = int(distance.argmin())
        neighbours.append(
            Neighbour(
                prompt=world.captioner.write(combination),
                sample=sample,
                nearest=training[i],
                nearest_caption=data.captions[int(data.caption[i])],
                distance=float(distance[i]),
            )
        )
    return neighbours


def _distance(images: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """float32 (n,) of uint8 (n, h, w, 3)."""
    return np.sqrt(((images.astype(np.float32) - sample) ** 2).mean(axis=(1, 2, 3)))
