# Two commands from nothing: `make demo` and `make test`. Each builds .venv and installs the pinned versions first.
VENV ?= .venv
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	command -v $(name) >/dev/null 2>&1 && $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
JOBS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: help demo demo-full demo-voxelwise tabular test test-slow lint parity pyradiomics ibsi benchmarks adrenal schemas docs constraints clean

help:
	@echo 'make demo         install, then the main job: workflows/sts_pet.yaml -> runs/sts_pet/report.html'
	@echo 'make test         install, then every test that is not slow'
	@echo 'make demo-full    the same job with 10 x 5 splits and all negative controls (several times as long)'
	@echo 'make demo-voxelwise  scalar against voxel-wise features, habitats included, on the same patients'
	@echo 'make test-slow    the tests that take minutes: kills, poison cases, simulations, permutations, newly drawn examples'
	@echo 'make pyradiomics  the optional extra, built from source (needs a C compiler)'
	@echo 'make parity       radpipe beside the installed pyradiomics, feature by feature'
	@echo 'make ibsi         the reference values of IBSI 1 and 2 recomputed from RADPIPE_DATA'
	@echo 'make benchmarks   how fast, side by side with peers'
	@echo 'make adrenal      both arms on 1,188 adrenal glands: is the CNN a straw man? (about 6 minutes of one core)'
	@echo 'make tabular      public feature tables through selection, ANN and references -> docs/tabular.md'
	@echo 'make lint         ruff, mypy, import contracts'

demo: $(VENV)/.runtime
	$(BIN)/radpipe run workflows/sts_pet.yaml --out runs/sts_pet

demo-full: $(VENV)/.runtime
	$(BIN)/radpipe run workflows/sts_pet_full.yaml --out runs/sts_pet_full

demo-voxelwise: $(VENV)/.runtime
	$(BIN)/radpipe run workflows/sts_pet_voxelwise.yaml --out runs/sts_pet_voxelwise

# One more than there are cores: many tests wait for processes that they start, and kill. These are hundreds, so compiled Python is
# kept whatever the shell says; plugins are named, or pytest rewrites the whole of hypothesis in every one of its processes; and
# libraries have one thread each, for theirs would spin while they wait for each other's (radpipe sets its own processes' itself).
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(BIN)/python -m pytest -p xdist -p timeout -p hypothesispytest

test: $(VENV)/.dev
	$(PYTEST) -n $$(($(JOBS) + 1)) --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/.dev
	$(PYTEST) -m slow --timeout 7200
	$(PYTEST) -m 'hypothesis and not slow' --hypothesis-profile=search --timeout 3600

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pyradiomics: $(VENV)/.runtime
	sh tools/install_pyradiomics.sh $(BIN)/python

parity: $(VENV)/.dev
	$(BIN)/python -m pytest -n 0 tests/features/test_live_parity.py
	$(BIN)/python tests/reference/make_pyradiomics_oracle.py --compare

ibsi: $(VENV)/.runtime
	$(BIN)/radpipe ibsi --data $(or $(RADPIPE_DATA),../shared/data)

tabular: $(VENV)/.runtime
	$(BIN)/python tools/tabular.py all --workers $(JOBS)

benchmarks: $(VENV)/.dev
	$(BIN)/python benchmarks/features.py

adrenal: $(VENV)/.runtime
	$(BIN)/python benchmarks/adrenal.py

schemas: $(VENV)/.runtime
	$(BIN)/python -m radpipe.core.tables data_schema
	$(BIN)/python -m radpipe.config data_schema

docs: $(VENV)/.runtime
	$(BIN)/python tools/make_docs.py

# The pinned versions, remade from what is installed now.
constraints: $(VENV)/.dev
	$(BIN)/python tools/make_constraints.py > constraints.txt.new && mv constraints.txt.new constraints.txt

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo 'radpipe needs Python 3.11 or newer; name one: make demo PYTHON=/path/to/python3' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo 'installing radpipe and what it needs into $(VENV) (some minutes the first time)'
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info
