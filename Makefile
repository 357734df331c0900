# The targets that people and CI use; CI calls `make check` and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

BIN      := $(CURDIR)/.bin
# The formatter and go fix look at these: every Go file of the module but test data.
GOFILES   = $(shell find . -name '*.go' -not -path './.*' -not -path '*/testdata/*' -not -path '*/node_modules/*')
FUZZPKGS := ./engineio ./socketio ./internal/eventlog ./internal/media
FUZZTIME ?= 6s
# All of test/bench that needs no module from outside but ours: CI fetches no peers.
BENCHPKGS := . ./bare ./control ./event ./load ./ours

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: check
check: ## What CI runs: format, vet, lint, tidy, build, race, conformance, fuzz, interop, verify
	@for target in fmt-check lint tidy-check build race conformance fuzz interop verify; do \
		echo "== $$target"; SECONDS=0; $(MAKE) --no-print-directory $$target; echo "-- $$target: $${SECONDS} s"; \
	done

.PHONY: test
test: ## Run all Go tests; needs nothing but Go
	go test -shuffle=on ./...

.PHONY: race
race: ## Run all Go tests under the race detector; needs a C compiler
	CGO_ENABLED=1 go test -race -shuffle=on -timeout 10m ./...

.PHONY: conformance
conformance: ## Run what the official protocol suites assert, 200 times
	CGO_ENABLED=1 go test -race -count=200 ./test/conformance

.PHONY: fmt
fmt: $(BIN)/gofumpt ## Format every Go file and apply go fix
	go fix ./...
	$(BIN)/gofumpt -w $(GOFILES)

.PHONY: fmt-check
fmt-check: $(BIN)/gofumpt
	@$(BIN)/gofumpt -d $(GOFILES) || { echo "not formatted: run 'make fmt'"; exit 1; }

.PHONY: lint
lint: $(BIN)/staticcheck ## Run go vet, go fix -diff and staticcheck
	go vet ./...
	go fix -diff ./...
	$(BIN)/staticcheck ./...
	GOOS=linux go -C test/bench vet $(BENCHPKGS)
	cd test/bench && GOOS=linux $(BIN)/staticcheck $(BENCHPKGS)

.PHONY: tidy-check
tidy-check:
	go mod tidy -diff
	go -C tools mod tidy -diff

# -fuzz takes one target at a time, so each is found by name and run on its own:
# two at once with one worker each, so that every target has its time and CI ends.
# Making each new input small would take up to a minute in which nothing is tried.
.PHONY: fuzz
fuzz: ## Fuzz each decoder for FUZZTIME (6s)
	@for pkg in $(FUZZPKGS); do \
		targets=$$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); \
		if [ -z "$$targets" ]; then echo "no fuzz target in $$pkg" >&2; exit 1; fi; \
		for t in $$targets; do echo "$$pkg $$t"; done; \
	done | xargs -L 1 -P 2 bash -c 'out=$$(go test -run "^$$" -parallel 1 -fuzz "^$$1\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$0 2>&1) || \
		{ echo "$$out"; echo "$$0 $$1: failed"; exit 255; }; echo "$$0 $$1: $$(grep -o "execs: [0-9]*" <<<"$$out" | tail -1)"'

# Files of tests have servers of their own. Many of them wait, so two run at once, where
# Node knows how to say so.
.PHONY: interop
interop: ## Run the official JavaScript client against a real server; needs Node
	cd test/interop && npm ci --no-audit --no-fund && \
		node --test $$(node --help | grep -q -e --test-concurrency && echo --test-concurrency=2)

.PHONY: verify
verify: ## Check for a minute that nothing is lost: 40 clients, 5 kills, 3 stops, all faults; flags in VERIFY
	CGO_ENABLED=0 go build -o bin/larder ./cmd/larder
	bin/larder verify --clients 40 --kills 5 --stops 3 --for 40s $(VERIFY)

.PHONY: bench-peers
bench-peers: ## Compare our server with its peers, flags in BENCH; Linux, Node, 8 minutes
	cd test/bench/node && npm ci --no-audit --no-fund
	go -C test/bench test ./...
	go -C test/bench run . $(BENCH)

.PHONY: bench-idle
bench-idle: ## Measure the memory of 10,000 signed-in clients of larder serve; Linux, 4 minutes
	go -C test/bench run . -product 10000 -accounts 1,1000 -settle 30s $(BENCH)

.PHONY: bench-back
bench-back: ## Measure how long 10,000 clients take to hear all after a restart and a kill; Linux, 3 minutes
	go -C test/bench run . -product 10000 -accounts 1000 -rounds 1 -come-back $(BENCH)

.PHONY: bench-heard
bench-heard: ## Measure the time from a POST until 1,000 clients have heard of it; Linux, 3 minutes
	go -C test/bench run . -product 1000 -accounts 1000 -heard $(BENCH)

.PHONY: bench-rush
bench-rush: ## Measure how long 500 NGOs wait that claim one donation at once; Linux, 1 minute
	go -C test/bench run . -product 500 -rush $(BENCH)

.PHONY: pg
pg: ## Run a PostgreSQL of your own and print its address; Ctrl-C removes it
	go run ./test/pg

.PHONY: build
build: ## Build everything, and the static program bin/larder
	go build ./...
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/larder ./cmd/larder

.PHONY: tools
tools: $(BIN)/gofumpt $(BIN)/staticcheck ## Build the linters into .bin

$(BIN)/gofumpt $(BIN)/staticcheck &: tools/go.mod tools/go.sum
	GOBIN=$(BIN) go -C tools install tool
	@touch $(BIN)/gofumpt $(BIN)/staticcheck

.PHONY: clean
clean: ## Remove what was built
	rm -rf $(BIN) bin coverage* *.test test/interop/node_modules test/bench/node/node_modules
