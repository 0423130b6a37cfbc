# Thin names for the commands below; `make help` lists them. PYTHON names the Python to start from (3.11 or newer).
PYTHON ?= python3
PY := .venv/bin/python
COURSE := $(PY) -m course_utils
INSTALLED := .venv/installed
# For nbval: what is stored was made without progress bars, and a value outside of its recorded band is an error.
TESTING := COURSE_SOURCE=bundled COURSE_STRICT=1 HF_HUB_DISABLE_PROGRESS_BARS=1 TRANSFORMERS_VERBOSITY=error
NBVAL := --nbval --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 600

.DELETE_ON_ERROR:
.PHONY: help book html lab test test-hard student execute record gpu gpu-kit clean

help:
	@echo "make book     install, execute every chapter on this machine's best device, render to _build/html"
	@echo "make test     install, check the package, every notebook and the rendered book"
	@echo "make test-hard  downloads, saves and pictures under every fault that we know; takes minutes"
	@echo "make html     install, render the book from the stored outputs"
	@echo "make lab      install, open the chapters in JupyterLab"
	@echo "make student  students' copies of the chapters, in _build/students: no solutions, a check after each answer"
	@echo "make execute  for authors: re-execute the chapters in place with the bundled stand-ins"
	@echo "make record   for authors: 16 recorded runs of every chapter, under other seeds and instruction sets"
	@echo "make gpu      on a machine with a GPU: run what is owed there, within 8 minutes; again to go on"
	@echo "make gpu-kit  pack what a GPU node without internet lacks, in parts of at most 60 MB"
	@echo "make clean    delete what was built and installed"
	@echo "More, with the Python of .venv: python -m course_utils --help"

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(sys.executable + " is older than Python 3.11, \
	which the course needs. Name another: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --editable ".[all]"
	@touch $@

book: $(INSTALLED)
	$(COURSE) book

html: $(INSTALLED)
	$(COURSE) figures --check
	$(COURSE) book --stored

lab: $(INSTALLED)
	$(PY) -m jupyter lab book/en

test: $(INSTALLED)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(TESTING) $(PY) -m pytest $(NBVAL) tests book
	.venv/bin/jupyter-book build . --all -W -n --keep-going --quiet --path-output _build/check
	$(PY) tests/check_site.py _build/check/_build/html

test-hard: $(INSTALLED)
	$(TESTING) $(PY) -m pytest -m hard tests

student: $(INSTALLED)
	$(COURSE) students

execute: $(INSTALLED)
	$(COURSE) book --in-place

record: $(INSTALLED)
	$(COURSE) record --seeds 0-3 --precisions native,fp32 --instructions native,avx2,sse41

gpu: $(INSTALLED)
	$(COURSE) gpu

gpu-kit: $(INSTALLED)
	$(COURSE) gpu --pack

clean:
	rm -rf _build .venv
