"""What every test needs: one thread each, or TEST_THREADS, shapes checked, a tiny world."""

import os

# before torch: workers of pytest-xdist share two cores, whatever a machine's OMP_NUM_THREADS is
os.environ["OMP_NUM_THREADS"] = os.environ.get("TEST_THREADS", "1")

from collections.abc import Iterator
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

CHECKED = ["ground", "data_gen", "diffusion", "classifiers", "theory", "analysis.measures"]
install_import_hook(CHECKED, "beartype.beartype")

from data_gen.captions import CaptionConfig  # noqa: E402
from data_gen.concepts import Concept  # noqa: E402
from data_gen.world import World, WorldConfig  # noqa: E402
from studies.cli import quieten_libraries  # noqa: E402

quieten_libraries()  # before they are imported

from studies.worlds.shapes.oracle import measured_limit  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent

CONCEPTS = {
    "shape": Concept(("circle", "square")),
    "color": Concept(("red", "blue"), signal=0.7, jitter=0.04),
    "size": Concept(("large", "small"), signal=0.3, jitter=0.04),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=2, help="SIGKILLs per launcher (test_kills.py)")
    parser.addoption("--stops", type=int, default=1, help="stops per signal (test_stops.py)")


@pytest.fixture(scope="session")
def tiny_config() -> WorldConfig:
    """2 × 2 × 2 combinations, one of them held out, 256 images of 16 px."""
    return WorldConfig(concepts=CONCEPTS, held_out=("square blue small",), num_images=256)


@pytest.fixture(scope="session")
def tiny_world(tiny_config: WorldConfig) -> World:
    return World(tiny_config, CaptionConfig())


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def one_limit() -> Iterator[None]:
    """The oracle's limit is measured once for each world; later tests of the session share it."""
    known: dict = {}

    def remembered(oracle):
        key = repr(oracle.config)
        if key not in known:
            known[key] = measured_limit(oracle)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("studies.scoring.oracle_limit.measured_limit", remembered)
        yield
