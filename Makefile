# make study: the whole study in the quick profile, then the book. make test: the tests.
# Both need Python 3.11 or newer, make and the package index, and set up .venv themselves.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
CORES ?= all
# A notebook's kernel runs in notebooks/: what is relative to here must stay so. Make's own abspath
# takes a path with a space for two.
absolute = $(if $(filter /%,$(firstword $(1))),$(1),$(CURDIR)/$(1))
$(foreach name,LANDSLIDE_DATA LANDSLIDE_CACHE LANDSLIDE_RUNS,$(if $(value $(name)),$(eval export $(name) := $$(call absolute,$$(value $(name))))))
# Whatever the locale: text is UTF-8 to every program that is started from here.
export PYTHONUTF8 := 1
export PYTHONWARNINGS ?= ignore::DeprecationWarning,ignore::FutureWarning
# The kernels of another environment are not ours.
unexport JUPYTER_PATH
# Containers often keep no byte code: then every kernel compiles pandas and torch from their sources.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: study test book records records-status check-book pdf bench lint generate clean

study: $(READY)
	@$(BIN)/snakemake --snakefile workflow/Snakefile --cores $(CORES) --nolock --rerun-incomplete --quiet progress
	@echo "The book: open file://$(CURDIR)/_build/html/index.html"

test: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4

# From published records alone: local runs are not looked at.
book: $(READY)
	@LANDSLIDE_TRAIN=no LANDSLIDE_RUNS="$(CURDIR)/_build/published" $(BIN)/snakemake --snakefile workflow/Snakefile --cores $(CORES) --config published=true --nolock --rerun-incomplete --quiet progress
	@echo "The book: open file://$(CURDIR)/_build/html/index.html"

# The records that the study lacks, the most valuable first, computed in a clean clone: one process a core at the lowest
# priority. What is stopped goes on at the next call. RECORDS="--minutes 60 --cores 1" limits it.
# glibc keeps the memory of freed tensors: a step is about 5 % faster.
CLONE ?= runs/clone
KEEP_MEMORY := MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184
records: $(READY)
	@test -d $(CLONE)/.git || git clone --quiet . $(CLONE)
	@cd $(CLONE) && git clean --force -d --quiet data/results && git pull --quiet --ff-only && $(MAKE) --no-print-directory .venv/.ready
	@cd $(CLONE) && $(KEEP_MEMORY) OMP_NUM_THREADS=1 TQDM_DISABLE=1 LANDSLIDE_RUNS=runs .venv/bin/python workflow/records.py --out "$(CURDIR)/data/results" $(RECORDS)

records-status: $(READY)
	@$(BIN)/python workflow/records.py --status

# The built book as its readers use it, and the demo as its visitors do, in headless Chromium.
check-book: $(READY)
	@LANDSLIDE_BOOK=required $(BIN)/python -m pytest -q -p no:cacheprovider -n auto --maxprocesses 4 tests/book
	@LANDSLIDE_BOOK=required $(BIN)/python -m pytest -q -p no:cacheprovider tests/geo/test_demo.py

# The whole book as one file, printed by Chromium.
pdf: book
	@$(BIN)/jupyter-book build _build/source --path-output . --builder singlehtml --all --warningiserror --keep-going --quiet
	@$(BIN)/python tools/pdf.py _build/singlehtml _build/pdf/landslide-study.pdf

# Ratios against what a user would otherwise pick, in the same run.
bench: $(READY)
	@$(BIN)/python -m benchmarks

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python tools/generate.py --check
	@$(BIN)/python tools/size.py
	@$(BIN)/python tools/chapters.py

generate: $(READY)
	@$(BIN)/python tools/generate.py

clean:
	rm -rf _build .snakemake

# uv comes from the package index into the environment itself, and installs what uv.lock says.
$(READY): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit("The study needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=/path/to/python3.11") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/uv || { $(PYTHON) -m venv .venv || { echo "$(PYTHON) cannot make a virtual environment (on Debian: apt install python3-venv)"; exit 1; }; $(BIN)/python -m pip install --quiet uv; }
	@$(BIN)/uv sync --frozen --quiet --extra geo
	@touch $@
