# Two commands do everything: `make demo` and `make test`. The rest is for those who work on it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# RocksDB's C++ is built once and kept outside target/ (scripts/librocksdb says where).
ROCKSDB = export ROCKSDB_LIB_DIR="$$(scripts/librocksdb)" ROCKSDB_STATIC=1
# Thousands of connections are thousands of open files.
FILES = ulimit -n "$$(ulimit -Hn)"
# One profile for tests and lints, so that dependencies are compiled once.
CI = --profile ci --all-features
RUN_TESTS = $(if $(shell command -v cargo-nextest),cargo nextest run --cargo-profile ci --all-features --no-fail-fast,cargo test $(CI) --no-fail-fast)

DEMO_FLAGS ?= --duration 60s
PREFIX ?= /usr/local

.PHONY: help demo test lint bench docs build install deps deps-bench deps-test clients

help:  ## what there is to do
	@sed -n 's/^\([a-z-]*\):.*## /  make \1: /p' Makefile | sed 's/:/\t/2' | expand -t 24

deps:
	@scripts/install-deps build

deps-bench:
	@scripts/install-deps bench

deps-test:
	@scripts/install-deps test

demo: deps  ## build, run platform, gateway and devices of all 226 classes, show it live (DEMO_FLAGS to change it)
	@$(ROCKSDB); $(FILES); cargo build --release --all-features --bins
	@$(FILES); target/release/sensegate-lab demo $(DEMO_FLAGS)

clients: deps-test
# What cannot be installed fails again in the tests that need it, and says so there: the others run all the same.
	-@scripts/install-clients >/dev/null

test: deps-test clients  ## install what is missing and run all tests
	@$(ROCKSDB); $(FILES); $(RUN_TESTS)

lint: deps-test  ## formatting, clippy, licences and bans, the unit's hardening, the metrics' names
	@$(ROCKSDB); scripts/lint

bench: deps-bench  ## the figures of docs/benchmarks.md, with their yardsticks
	@$(ROCKSDB); $(FILES); cargo build --release --all-features --bins
	@$(ROCKSDB); cargo bench --bench normalise --bench spool --bench vault
	@$(FILES); target/release/sensegate-lab bench --markdown
	@$(FILES); for part in city-mix fan-out tls storm auth; do target/release/sensegate-lab bench $$part --markdown; done

docs: deps  ## write the reference pages anew from the tables in the code
	@$(ROCKSDB); for page in configuration metrics classes alarms; do \
	  cargo run --quiet $(CI) --bin sensegate -- docs $$page > docs/$$page.md; done; \
	  cargo run --quiet $(CI) --bin sensegate -- docs example-config > config/sensegate.toml

build: deps  ## the release binaries
	@$(ROCKSDB); cargo build --release --bin sensegate

install: build  ## binary, unit and example configuration below PREFIX and /etc
	install -Dm755 target/release/sensegate $(DESTDIR)$(PREFIX)/bin/sensegate
	install -Dm644 systemd/sensegate.service $(DESTDIR)/etc/systemd/system/sensegate.service
	install -Dm644 systemd/90-sensegate.conf $(DESTDIR)/etc/sysctl.d/90-sensegate.conf
	test -e $(DESTDIR)/etc/sensegate/sensegate.toml || install -Dm644 config/sensegate.toml $(DESTDIR)/etc/sensegate/sensegate.toml
