# What a newcomer needs: make demo, make test. Everything else is in make help.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# Seeds of the simulator; kills of the torture.
SEEDS   ?= 10000
KILLS   ?= 1000
# Five seconds a target: enough to run its corpus and look around.
FUZZTIME ?= 5s

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## the whole pipeline on a synthetic site, nothing else installed
	$(GO) run ./cmd/shipperd demo

.PHONY: build
build: ## bin/shipperd, static and reproducible
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/shipperd ./cmd/shipperd

.PHONY: test
test: bin/with-servers ## all tests, against real servers that are started for them
	$(GO) vet ./...
	bin/with-servers $(GO) test -race -timeout 20m -count 1 ./... # a cached result does not know that the binary has changed

.PHONY: unit
unit: ## the tests that need no servers
	$(GO) test -race -short ./...

.PHONY: bin/with-servers
bin/with-servers:
	$(GO) build -o $@ ./test/servers/cmd/with-servers

.PHONY: lint
lint: ## golangci-lint, built from tools/go.mod
	$(GO) tool -modfile=tools/go.mod golangci-lint run ./...

.PHONY: simulate
simulate: ## SEEDS bad days in fake time; lost and doubled must be none
	SHIPPERD_SEEDS=$(SEEDS) $(GO) test -count 1 -run NothingIsLostOrDoubled ./test/simulate

.PHONY: torture
torture: ## KILLS kills of the real binary; lost and doubled must be none
	$(GO) run ./test/torture/cmd/torture -kills $(KILLS)

.PHONY: up
up: ## the whole lab in containers: Elasticsearch, Kibana, LocalStack, Prometheus, Grafana
	docker compose up --build --detach --wait

.PHONY: down
down: ## stop them, and forget their data
	docker compose down --volumes

.PHONY: test-compose
test-compose: ## the integration tests against the containers of make up
	SHIPPERD_TEST_ELASTICSEARCH=http://127.0.0.1:9200 SHIPPERD_TEST_LOCALSTACK=http://127.0.0.1:4566 SHIPPERD_TEST_KINESIS=http://127.0.0.1:4566 \
		$(GO) test -count 1 ./test/integration

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

.PHONY: bench
bench: ## every benchmark, six times, for benchstat
	$(GO) test -run '^$$' -bench . -benchmem -count 6 ./...

.PHONY: bench-daemon
bench-daemon: ## the whole daemon between two peers in one process, as JSON; Linux, five minutes
	$(GO) run ./test/bench
