# What a developer, a demo and CI need. `make help` lists it.

SHELL := /bin/sh
export PATH := $(PATH):$(HOME)/.cargo/bin
.DEFAULT_GOAL := help
.PHONY: help setup build demo demo-kafka screenshots test test-faults soak bench fmt lint deny image

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## check the tools, install what is missing (Rust, C compiler, MariaDB; Kafka's libraries if there is Java)
	@scripts/setup.sh

build: setup ## build the `crossfade` program, optimised
	cargo build --release --locked --package crossfade

demo: setup ## a legacy application moves to its new tables while it writes; one machine, no broker
	@scripts/demo.sh

demo-kafka: setup ## the same with the services apart and Kafka between them
	@scripts/demo.sh --kafka

screenshots: setup ## the console's pictures in docs/images/, taken from the demo by a real browser
	@scripts/screenshots.sh

test: ## format, lints and all tests on real servers; ends with `N passed, N failed, N skipped`
	@scripts/test.sh

test-faults: setup ## the fault menu in full: kills, outages, zombies, networks; writes docs/faults.md
	@scripts/faults.sh

soak: setup ## load and faults at random for hours; CROSSFADE_SOAK=2h, CROSSFADE_SEED=n
	@scripts/test.sh --only soak

bench: setup ## benchmarks, side by side with what others do
	@scripts/bench.sh

fmt: ## format everything
	cargo fmt --all

lint: ## clippy, warnings are errors
	cargo clippy --workspace --all-targets --locked -- -D warnings

deny: ## licences, sources and known holes of the dependencies
	@scripts/deny.sh

image: ## the container image
	docker build --tag crossfade .
