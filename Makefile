# `make help` lists the targets. A bare machine needs Go, a C compiler and make; the targets install the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GOLANGCI_LINT = $(shell go env GOPATH)/bin/golangci-lint
# The last version whose dependencies are all in Go's module proxy; deploy/check has its schema.
GORELEASER = github.com/goreleaser/goreleaser/v2@v2.13.3
# How long `make fuzz` runs each target.
FUZZTIME ?= 20s
# Flags for the second part of `make conformance`, as in CONFORMANCE='-suites regression -routes direct,shadow'.
CONFORMANCE ?=
# Flags for `make mutation`.
MUTATION ?=

.PHONY: help deps build test lint fuzz soak bench conformance application linearizability mutation demo demo-fleet release-check

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | column -t -s $$'\t'

deps: ## installs what the tests and linters need and the machine lacks
	@bash .ci/deps

build: ## bin/pgrecall
	go build -o bin/pgrecall ./cmd/pgrecall

test: deps ## all tests, with the race detector: unit, wire scripts, drivers
	go vet ./...
	go test -race -timeout 14m ./proxy ./... # what takes longest comes first
	go test ./invalidator/bus/model # all interleavings: without the race detector, which one goroutine does not need
	cd deploy/check && go vet ./... && go test ./... # a module of its own, for what is deployed

lint: deps ## gofmt and the linters of .golangci.yml
	$(GOLANGCI_LINT) run ./...
	cd deploy/check && $(GOLANGCI_LINT) run ./...

fuzz: ## every fuzz target for FUZZTIME (20s)
	@targets=$$(grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's/func //' | sort -u); \
	[ -n "$$targets" ] || { echo "no fuzz targets" >&2; exit 1; }; \
	while IFS=: read -r file target; do \
		echo "fuzz $$target in $$(dirname "$$file")"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")"; \
	done <<<"$$targets"

conformance: deps ## the wire scripts on PostgreSQL 13 to 18, then others' test suites direct and through pgrecall (docs/conformance.md)
	@for version in 13 14 15 16 17 18; do \
		echo "PostgreSQL $$version"; \
		PGRECALL_TEST_PG_VERSION=$$version go test -count=1 -timeout 14m ./test/wire; \
	done
	go run ./test/conformance $(CONFORMANCE)

application: deps ## a real application's tests direct and through pgrecall, and what share of its reads is cached (docs/application.md)
	go run ./test/conformance -suites gitea -routes direct,pgrecall,patient -publish docs/application.md $(CONFORMANCE)

linearizability: deps ## rows read through one pgrecall, and through three with one Redis, while everything dies, for PGRECALL_LINEAR (10m) each; PGRECALL_SEED repeats the choices of a run
	PGRECALL_LINEAR=$${PGRECALL_LINEAR:-10m} go test -count=1 -v -timeout 0 ./test/linear

release-check: ## a release without publishing it: binaries for Linux on amd64 and arm64, tarballs, deb, rpm, in bin/dist (deploy/.goreleaser.yaml)
	@command -v aarch64-linux-gnu-gcc >/dev/null || { echo "the C compiler for arm64 is missing: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross" >&2; exit 1; }
	go run $(GORELEASER) check deploy/.goreleaser.yaml
	go run $(GORELEASER) release --snapshot --clean --config deploy/.goreleaser.yaml

demo: build ## the main job with nothing set up before
	bin/pgrecall demo

demo-fleet: build ## three pgrecalls and a Redis with nothing set up before; one is killed and comes back warm
	@command -v redis-server >/dev/null || bash .ci/deps
	bin/pgrecall demo --fleet

bench: deps ## direct, floor, relay, PgBouncer, pgpool-II and pgrecall side by side; the table goes into docs/bench.md
	go run ./bench -publish docs/bench.md

soak: deps ## PGRECALL_SOAK (1000000) answers compared with PostgreSQL's while everything changes; see docs/soak.md
	PGRECALL_SOAK=$${PGRECALL_SOAK:-1000000} go test -count=1 -timeout 4h -v -run '^TestSoak$$' ./test/soak

mutation: deps ## breaks the code in each way of testdata/mutations and runs the tests that should notice; MUTATION='-only words' for some
	go run ./test/mutation $(MUTATION)
