# make book   execute the notebooks and build the book; prints the page to open
# make test   run all tests
# make quick  run the tests that take seconds
# make check  lint, formatting and types
# make clean  remove what was built (the environment and the downloaded data stay)

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
RUN := $(VENV)/bin/python

# Two notebooks, or two test workers, run side by side: one thread each.
export OMP_NUM_THREADS ?= 1

.PHONY: book test quick check clean
book: $(VENV)/ready
	$(RUN) -m vrnn3d.book

test: $(VENV)/ready
	$(RUN) -m pytest -n 2

quick: $(VENV)/ready
	$(RUN) -m pytest -n 2 -m "not slow"

check: $(VENV)/ready
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

$(VENV)/ready: pyproject.toml constraints.txt
	$(if $(PYTHON),,$(error Python 3.11 or newer is needed: install it, or name it as in: make book PYTHON=/path/to/python3.11))
	$(PYTHON) -m vrnn3d.book --set-up

clean:
	rm -rf _build book/executed build *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .coverage htmlcov
