# Every target makes .venv on first use and reuses it; a changed pyproject.toml re-installs.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo swingby test test-slow lint docs clean
setup: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/python scripts/run.py --config configs/quickstart.yaml

swingby: $(STAMP)
	$(BIN)/python scripts/run.py --config configs/swingby_2x2.yaml

test: $(STAMP)
	$(BIN)/python -m pytest -m 'not slow'

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m 'slow and not alone' --timeout 2400 --durations 0
	$(BIN)/python -m pytest -m alone --numprocesses 0 --timeout 2400 --durations 0

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
