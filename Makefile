# make demo    from a clone to a report on the built-in faces
# make test    every check that the project has
# make docs    the documentation, with the outputs of its tutorials, in docs/_build
#
# All make the virtual environment VENV with PYTHON first, and find it done the second time.

PYTHON ?= python3
VENV ?= .venv
DEMO_OUT ?= runs/demo
PYTEST_FLAGS ?= -n 2 --dist loadfile --no-loadscope-reorder

BIN := $(VENV)/bin
# Compiling all of torch and SymPy beforehand takes longer than what is imported does when it first is.
INSTALL := $(BIN)/pip install --no-compile --editable

.DELETE_ON_ERROR:
.PHONY: demo docs test

# A run that was interrupted goes on; one that is finished shows its results again. DEMO_OUT=runs/another starts anew.
demo: $(VENV)/.installed
	$(BIN)/augface demo --out $(DEMO_OUT)
	@echo "Open the report in a browser: $(DEMO_OUT)/report.html"

# Compiled modules are kept whatever the environment says: tests start many processes, each of which imports torch.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest $(PYTEST_FLAGS)

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build --builder html --fail-on-warning --keep-going --fresh-env docs docs/_build
	$(BIN)/python docs/no_requests.py docs/_build
	@echo "Open the documentation in a browser: docs/_build/index.html"

$(VENV)/.installed: pyproject.toml | $(BIN)/pip
	$(INSTALL) '.[fast]'
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/pip
	$(INSTALL) '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/pip
	$(INSTALL) '.[docs]'
	@touch $@ $(VENV)/.installed

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("augface needs Python 3.11 or newer, and this is " + sys.version.split()[0] + ". Name another, as in: make demo PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
