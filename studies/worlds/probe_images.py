"""Images that a world gives its probe: to learn from, to set its limit, to certify it."""

from collections.abc import Callable
from dataclasses import dataclass

from classifiers.probe import Batch
from classifiers.probe_config import ProbeConfig

ORACLE_RATE, ORACLE_NOISE = 0.01, 0.1  # of noisy renders that the oracle may take for no scene
DEGRADED_SHARE = 8  # curves under noise and blur are of this part of the certificate's images


@dataclass(frozen=True)
class ProbeImages:
    """Labelled images of all combinations, or of any centre, held-out ones too; those of `limit`
    and `certificate` are in no other part.

    Attributes:
        draw: step → what the probe is trained on.
        fitted: from which it learns what images look like; every combination is there.
        limit: from which it learns when to be unsure.
        certificate: with which it is certified.
        check: more of them, to see whether it has learned enough, in no other part either; None:
            there are no more.
    """

    draw: Callable[[int], Batch]
    fitted: Batch
    limit: Batch
    certificate: Batch
    check: Callable[[], Batch] | None = None


def rendered_parts(
    batch: Callable[[int, str, int, int], Batch], config: ProbeConfig
) -> ProbeImages:
    """Return the parts of a world that renders as many images as are asked for.

    batch: (seed, purpose, start, count) → labelled renders.
    """

    def part(name: str) -> Batch:
        return batch(config.seed, f"probe.{name}", 0, config.certificate_images)

    size = config.batch_size
    return ProbeImages(
        draw=lambda step: batch(config.seed, "probe.train", step * size, size),
        fitted=part("fit"),
        limit=part("limit"),
        certificate=part("certificate"),
        check=lambda: part("check"),
    )
