# Thin names for the commands below; `make help` lists them. PYTHON names the Python to start from (3.11 or newer).
PYTHON ?= python3
PY := .venv/bin/python
INSTALLED := .venv/installed
NOTEBOOKS := $(wildcard book/en/*.ipynb)
EXECUTED := $(NOTEBOOKS:%=_build/executed/%)
PAGES := _config.yml _toc.yml $(shell find book -type f ! -name '*.ipynb' ! -path '*/.*')
HELPERS := $(shell find course_utils -type f ! -path '*/__pycache__/*')
# Progress bars and load reports differ from run to run: they stay out of stored outputs, and so out of what nbval compares.
QUIET := HF_HUB_DISABLE_PROGRESS_BARS=1 TRANSFORMERS_VERBOSITY=error
# Without a GPU the chapters train the bundled stand-ins: minutes instead of hours.
ON_BEST_DEVICE = $(PY) -c "import torch; gpu = torch.cuda.is_available(); print('auto' if gpu else 'bundled', 'GPU' if gpu else 'CPU')"
JUPYTER_BOOK := .venv/bin/jupyter-book build

.DELETE_ON_ERROR:
.PHONY: help book html lab test execute clean FORCE

help:
	@echo "make book     install, execute every chapter on this machine's best device, render to _build/html"
	@echo "make test     install, check the package, every notebook and the rendered book"
	@echo "make html     install, render the book from the stored outputs"
	@echo "make lab      install, open the chapters in JupyterLab"
	@echo "make execute  for authors: re-execute the chapters in place with the bundled stand-ins"
	@echo "make clean    delete what was built and installed"

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"The course needs Python 3.11 or newer; {sys.executable} is {v.major}.{v.minor}. Name another: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --editable ".[all]"
	@touch $@

# Where chapters take checkpoints and data from, and the device; rewritten only when either changes.
_build/source: $(INSTALLED) FORCE
	@mkdir -p $(@D)
	@found="$${COURSE_SOURCE:-} $$($(ON_BEST_DEVICE))"; [ "$$(cat $@ 2>/dev/null)" = "$$found" ] || echo "$$found" > $@

# A chapter is executed again when it, the helper package, the installation or the source is newer than its executed copy.
_build/executed/%.ipynb: %.ipynb $(HELPERS) $(INSTALLED) _build/source
	@mkdir -p $(@D)
	COURSE_SOURCE=$$(set -- $$(cat _build/source); echo $$1) $(QUIET) $(PY) -m nbconvert --log-level WARN --to notebook --execute --ExecutePreprocessor.timeout=3600 --output-dir $(@D) $<

book: $(EXECUTED)
	tar cf - $(PAGES) | tar xf - -C _build/executed
	$(JUPYTER_BOOK) _build/executed --path-output . --quiet
	@echo "The book: file://$(CURDIR)/_build/html/index.html"

html: $(INSTALLED)
	$(JUPYTER_BOOK) . --quiet
	@echo "The book: file://$(CURDIR)/_build/html/index.html"

lab: $(INSTALLED)
	$(PY) -m jupyter lab book/en

test: $(INSTALLED)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	COURSE_SOURCE=bundled $(QUIET) $(PY) -m pytest --nbval --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 600 tests book
	$(JUPYTER_BOOK) . --all -W -n --keep-going --quiet --path-output _build/check
	$(PY) tests/check_site.py _build/check/_build/html

execute: $(INSTALLED)
	for notebook in $(NOTEBOOKS); do COURSE_SOURCE=bundled $(QUIET) $(PY) -m nbconvert --log-level WARN --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False --ExecutePreprocessor.timeout=3600 $$notebook || exit; done

clean:
	rm -rf _build .venv
