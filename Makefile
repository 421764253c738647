# Needs Python 3.11 or later with venv and pip, make and git. Everything it installs goes to .venv.
#
#   make PYTHON=/opt/python3.12/bin/python3     which interpreter .venv is made with
#   make run ARGS="--seed 7"                    what follows the command
#
# One .venv, two stamps: the daemon needs requirements.lock alone, so that a first `make run` is
# quick; tests and checks add requirements-dev.lock. A changed lock installs again. Bytecode is left
# to the first import: compiling every file of every library would cost ten seconds and 200 MB.

.POSIX:
.SUFFIXES:

ARGS =
UV_VERSION = 0.13.8
BIN = .venv/bin
MADE = .venv/made.stamp
RUNTIME = .venv/runtime.stamp
DEV = .venv/dev.stamp
PEERS = .venv-peers/made.stamp
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL = $(PIP) install --no-compile
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links $(ARGS) pyproject.toml

.PHONY: help setup run test campaign soak check bench lock clean

help:
	@echo 'make run       start the daemon (ARGS="...")'
	@echo 'make test      run the tests'
	@echo 'make setup     install what running, testing and checking need'
	@echo 'make check     formatting, lint and types'
	@echo 'make campaign  real processes and injected faults'
	@echo 'make soak      long campaigns'
	@echo 'make bench     measure'
	@echo 'make lock      write the lock files anew (ARGS=--upgrade for later versions)'
	@echo 'make clean     remove .venv and caches, never data/'

setup: $(RUNTIME) $(DEV)
	@:

# exec: the daemon takes the place of the shell, so that Ctrl-C and SIGTERM reach it, once.
run: $(RUNTIME)
	@exec $(BIN)/python -m roboinvest run $(ARGS)

# Status 5 is pytest's "nothing selected": right when ARGS names a file without a lone test.
test: $(RUNTIME) $(DEV)
	@$(BIN)/python -m pytest -q -n 2 -m 'not campaign and not soak and not alone' $(ARGS)
	@$(BIN)/python -m pytest -q -m 'alone and not campaign and not soak' $(ARGS) || test $$? -eq 5

# One worker plays a whole file: its tests may be the life of one daemon, in order.
campaign: $(RUNTIME) $(DEV)
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m 'campaign and not alone' $(ARGS) || test $$? -eq 5
	@$(BIN)/python -m pytest -q -m 'campaign and alone' $(ARGS) || test $$? -eq 5

soak: $(RUNTIME) $(DEV)
	@$(BIN)/python -m pytest -q -m soak --timeout 0 $(ARGS)

check: $(RUNTIME) $(DEV)
	@$(BIN)/ruff format --quiet --diff .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary

bench: $(RUNTIME) $(DEV) $(PEERS)
	@$(BIN)/python -m benchmarks $(ARGS)

# The second lock is held to the versions of the first.
lock: $(MADE)
	@$(INSTALL) uv==$(UV_VERSION)
	@$(COMPILE) --group build -o requirements.lock
	@$(COMPILE) --group dev -c requirements.lock -o requirements-dev.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url --no-emit-find-links $(ARGS) \
		benchmarks/peers/requirements.in -o benchmarks/peers/requirements.lock

clean:
	@rm -rf .venv .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	@find roboinvest meta_agents research tools tests benchmarks -name __pycache__ \
		-exec rm -rf {} + 2>/dev/null || true

$(MADE):
	@for python in $${PYTHON:-python3.11 python3}; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			"$$python" -m venv .venv && touch $@; exit; \
		fi; \
	done; \
	echo "RoboInvest needs Python 3.11 or later and $$python is" \
		"$$("$$python" -V 2>/dev/null || echo missing);" \
		'name one with make PYTHON=/path/to/python3.11' >&2; exit 1

$(RUNTIME): $(MADE) requirements.lock pyproject.toml
	@echo 'Installing what the daemon needs into .venv (a minute or so, once)'
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.lock
	@echo 'Installing what tests and checks need into .venv'
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

# The backtester's rivals live by themselves: they want other versions, and are never run by us.
$(PEERS): $(MADE) benchmarks/peers/requirements.lock
	@echo 'Installing what the backtester is measured beside into .venv-peers (once)'
	@$(BIN)/python -m venv .venv-peers
	@.venv-peers/bin/python -m pip --disable-pip-version-check --quiet install --no-compile \
		--require-hashes -r benchmarks/peers/requirements.lock
	@touch $@
