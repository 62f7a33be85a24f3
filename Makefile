# make serve      start ecru on 127.0.0.1:5050; needs Python 3.11 with venv, nothing else
# make test       run the tests; what lacks a peer is skipped by name (TESTS=tests/unit for some of them)
# make soak       kill servers under load, KILLS=2000 times on each database (SEED=… repeats a run)
# make memory     push 20 layers of LAYER_MEGABYTES=500 at once, to a folder and to an object store
# make check      format, lint, types
# make fix        repair what can be repaired
# make reference  write the pages of docs/reference from what the code declares
# make peers      install the programs that tests talk to (Debian, root)
# make lock       pin the newest versions that pyproject.toml allows

PYTHON ?= python3
TESTS ?= tests
PIP = .venv/bin/python -m pip --disable-pip-version-check --require-virtualenv
# Without an index: which one to ask is the reader's business, the hashes say what it may answer.
COMPILE = .venv/bin/uv pip compile --quiet --no-config --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

.PHONY: serve test soak memory check fix reference peers lock clean
.DELETE_ON_ERROR:

serve: .venv/runtime
	.venv/bin/ecru serve

test: .venv/dev
	.venv/bin/pytest --numprocesses auto --dist loadfile $(TESTS)

soak: export KILLS ?= 2000
soak: .venv/dev
	.venv/bin/pytest --capture=no tests/durability/test_killed_servers.py

memory: export LAYER_MEGABYTES ?= 500
memory: .venv/dev
	.venv/bin/pytest --capture=no tests/durability/test_memory.py

check: .venv/dev
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy

fix: .venv/dev
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

reference: .venv/dev
	.venv/bin/python -m scripts.reference

peers:
	scripts/peers.sh

# What the runtime and the build get is what the tests ran with, so dev.txt decides.
lock: .venv/dev
	$(COMPILE) pyproject.toml --group dev --group build --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --constraint requirements/dev.txt --output-file requirements/runtime.txt
	$(COMPILE) --group build --constraint requirements/dev.txt --output-file requirements/build.txt
	$(COMPILE) requirements/aws-cli.in --output-file requirements/aws-cli.txt

clean:
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist

.venv:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("ecru needs Python 3.11 or newer: make PYTHON=…")'
	$(PYTHON) -m venv .venv

.venv/runtime: requirements/runtime.txt requirements/build.txt pyproject.toml | .venv
	$(PIP) install --quiet --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# dev.txt holds all of runtime.txt.
.venv/dev: requirements/dev.txt pyproject.toml | .venv
	$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch .venv/runtime $@
