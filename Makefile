# Everything runs from a fresh clone with Python 3.11 and make; the environment lives in .venv, the models in models/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS_VENV := .venv-protos
TOOLS_VENV := .venv-tools
SCHEMATHESIS_VENV := .venv-schemathesis
MODELS ?= models
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run train test schemathesis lint format types protos protos-check requirements clean

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

run: train ## Train the models that are missing, then serve them on 127.0.0.1:8000 (REST) and :8001 (gRPC)
	@exec $(BIN)/tensorgate serve --models $(MODELS)

train: $(VENV)/.run ## Train and publish the two default models, where they are missing
	@$(BIN)/tensorgate train classifier --if-missing --models $(MODELS)
	@$(BIN)/tensorgate train forecaster --if-missing --models $(MODELS)

test: $(VENV)/.dev $(SCHEMATHESIS_VENV)/.done lint types protos-check ## Run all tests
	$(BIN)/pytest $(PYTEST_ARGS)

schemathesis: $(VENV)/.dev $(SCHEMATHESIS_VENV)/.done ## Test REST against its OpenAPI document alone
	$(BIN)/pytest tests/integration/test_openapi.py $(PYTEST_ARGS)

lint: $(VENV)/.dev ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy

format: $(VENV)/.dev ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

protos: $(PROTOS_VENV)/.done ## Generate the code of all protocols
	$(PROTOS_VENV)/bin/python protos/generate.py

protos-check: $(PROTOS_VENV)/.done ## Fail when the generated code is not what the protocols say
	$(PROTOS_VENV)/bin/python protos/generate.py --check

requirements: ## Resolve the pinned requirement files anew
	$(PYTHON) -m venv $(TOOLS_VENV)
	$(TOOLS_VENV)/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	$(TOOLS_VENV)/bin/python requirements/resolve.py

clean: ## Remove environments and caches; models stay
	rm -rf $(VENV) $(PROTOS_VENV) $(TOOLS_VENV) $(SCHEMATHESIS_VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: an environment is made once and again whenever its pinned requirements change.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Tensorgate needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements/run.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements/dev.txt
	@touch $@

$(PROTOS_VENV)/.done: requirements/protos.txt
	$(PYTHON) -m venv $(PROTOS_VENV)
	$(PROTOS_VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(SCHEMATHESIS_VENV)/.done: requirements/schemathesis.txt
	$(PYTHON) -m venv $(SCHEMATHESIS_VENV)
	$(SCHEMATHESIS_VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@
