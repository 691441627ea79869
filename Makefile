# Set-up and checks. `make run` and `make test` are all that a newcomer needs.
PYTHON ?= $(or $(shell command -v python3.11),$(shell command -v python3),python3.11)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test lint bench clean install

run: $(STAMP)
	$(BIN)/cauce run examples/taxi

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python benchmarks/run.py

install: $(STAMP)

# Byte code is compiled at once: importing TensorFlow without it takes three times as long.
$(STAMP): setup.py constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "There is no '$(PYTHON)' here. The pinned set-up needs Python 3.11: install it, or name one: make PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "The pinned versions in constraints.txt are for Python 3.11; $(PYTHON) is $$($(PYTHON) -V). Name one: make PYTHON=/path/to/python3.11. With 3.12 or 3.13: pip install . (without constraints.txt)."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[test]'
	$(BIN)/python -m pip check
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib/python3.11/site-packages >/dev/null || true
	@touch $(STAMP)

clean:
	rm -rf $(VENV) cauce_root serving build dist *.egg-info .bench .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
