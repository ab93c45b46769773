"""Imports go one way: ground ← data_gen ← {diffusion, classifiers}; ground ← theory; studies know
them all, and analysis none of them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BELOW = {
    "ground": set(),
    "data_gen": {"ground"},
    "diffusion": {"ground", "data_gen"},
    "classifiers": {"ground", "data_gen"},
    "theory": {"ground"},
    "analysis": set(),
    "studies": {"ground", "data_gen", "diffusion", "classifiers", "theory", "analysis"},
}
OURS = {*BELOW, "scripts", "benchmarks", "tests", "docs"}


def imported(path: Path) -> set[str]:
    """Modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: a relative import"
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("package", BELOW)
def test_a_package_imports_what_lies_below_it(package):
    allowed = BELOW[package] | {package}
    for path in (ROOT / package).rglob("*.py"):
        ours = {module.split(".")[0] for module in imported(path)} & OURS
        assert ours <= allowed, f"{path.relative_to(ROOT)} imports {ours - allowed}"
