"""The README keeps up with the tree."""

import re

import pytest
import yaml

from data_gen.photos.world import PhotoTerms
from studies.config import Config, check_config
from studies.reading import read_as
from studies.worlds import WorldFile, build_world

PACKAGES = ("data_gen", "diffusion", "classifiers", "analysis", "theory", "studies")


@pytest.fixture(scope="module")
def readme(root) -> str:
    return (root / "README.md").read_text()


def test_every_file_has_its_line(root, readme):
    files = [f for package in PACKAGES for f in (root / package).rglob("*.py")]
    missing = [f.name for f in files if f.name != "__init__.py" and f.name not in readme]
    missing += [f.name for f in (root / "configs").glob("*.yaml") if f.name not in readme]
    missing += [f.stem for f in (root / "configs" / "worlds").glob("*") if f.stem not in readme]
    missing += [f.stem for f in (root / "scripts").glob("*.py") if f.stem not in readme]
    missing += [f.name for f in (root / "benchmarks").glob("*.py") if f.name not in readme]
    assert not missing


def test_files_it_points_to_exist(root, readme):
    links = re.findall(r"\]\(([^)#:]+)\)", readme)
    links += re.findall(r"(?:tests/|\b)(?:configs|scripts)/\w+\.\w+", readme)
    assert links and not [link for link in links if not (root / link).exists()]


def test_the_worlds_it_shows_are_worlds(readme):
    shapes, photos = re.findall(r"```yaml\n(world:.*?)```", readme, re.DOTALL)
    world = build_world(read_as(WorldFile, {"name": "shown", **yaml.safe_load(shapes)}, ""))
    assert len(world.split.held_out) == 4 and world.captioner.max_words == 6
    experiment = read_as(Config, {"name": "shown", **yaml.safe_load(photos)}, "")
    world = check_config(experiment)
    assert isinstance(world, PhotoTerms) and len(world.split.held_out) == 1
