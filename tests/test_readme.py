"""The README keeps up with the tree."""

import re

import pytest

PACKAGES = ("data_gen", "diffusion", "classifiers", "analysis", "studies")


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
    links += re.findall(r"(?:configs|scripts)/\w+\.\w+", readme)
    assert links and not [link for link in links if not (root / link).exists()]
