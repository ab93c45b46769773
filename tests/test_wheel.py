"""The wheel in a clean environment, away from the repository."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.full]  # installs all that it depends on
REPORT = """
import sys
from pathlib import Path
import analysis, studies
from studies.examples import lay_out
from studies.findings.run import Run
for package in (analysis, studies):
    assert Path(package.__path__[0]).is_relative_to(sys.prefix), package.__path__
run = Run(lay_out(Path(sys.argv[1]), Path("runs")).path)
print(*run.sentences(), run.write_report(), sep="\\n")
"""


@pytest.mark.timeout(2400)
def test_it_draws_the_report_of_the_example(root, tmp_path):
    source, wheels, environment = (tmp_path / name for name in ("source", "wheels", "env"))
    run("git", "clone", "--quiet", str(root), str(source))
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
    run(*pip, "--wheel-dir", str(wheels), str(source))
    run(sys.executable, "-m", "venv", str(environment))
    python = str(environment / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", *map(str, wheels.glob("*.whl")))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    example = root / "examples" / "color_and_size"
    said = run(python, "-I", "-c", REPORT, str(example), cwd=elsewhere).splitlines()
    report = elsewhere / said[-1]
    assert len(said) > 1 and report.stat().st_size > 1_000_000
    assert (report.parent / "figures").is_dir()


def run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
