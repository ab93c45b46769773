# Every target makes .venv on first use and reuses it; a changed pyproject.toml re-installs.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup look demo swingby test test-slow test-full lint docs clean
setup: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# The report of a finished run that is kept in examples/; nothing is trained.
look: $(STAMP)
	$(BIN)/python scripts/look.py

demo: $(STAMP)
	$(BIN)/python scripts/run.py --config configs/quickstart.yaml

swingby: $(STAMP)
	$(BIN)/python scripts/run.py --config configs/swingby_2x2.yaml

test: $(STAMP)
	$(BIN)/python -m pytest -m 'not slow'

# What every change must pass, beside the fast tests: kills, stops, shards, world sizes, controls.
test-slow: $(STAMP)
	$(BIN)/python -m pytest -m 'slow and not alone and not full' --timeout 2400 --durations 0
	$(BIN)/python -m pytest -m 'alone and not full' --numprocesses 0 --timeout 2400 --durations 0

# What proves more and takes longer: the demo at full length, SLURM, random worlds, more kills.
test-full: $(STAMP)
	$(BIN)/python -m pytest tests/scripts/test_kills.py --kills 10 --timeout 4800 --durations 0
	$(BIN)/python -m pytest -m 'full and not alone' --timeout 4800 --durations 0
	$(BIN)/python -m pytest -m 'full and alone' --numprocesses 0 --timeout 2400 --durations 0

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Pages that are read off the code: the map of files, the keys of a config.
docs: $(STAMP)
	$(BIN)/python docs/generate.py

# Leaves runs/ alone: results are never deleted by a build.
clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv/*' -exec rm -rf {} +
