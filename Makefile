# Everything a contributor runs. A machine needs Go, Python 3, make, a shell, and a C
# compiler for the race detector; the rest is built or downloaded here, into build/, at
# pinned versions.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

GO   ?= go
TAGS := nobadger,nomysql,nopgx
# -buildvcs=false: a checkout that belongs to another user must build as well.
export GOFLAGS := -buildvcs=false

# The flags of a release. The linter type-checks with them too, so that Caddy is
# compiled once for both.
RELEASE := CGO_ENABLED=0
RFLAGS  := -trimpath -tags $(TAGS)
CADDY   := bin/caddy

# Tools have a go.mod of their own: users of the module do not inherit them.
# Their versions are in the names of the programs, so that a new one is built.
tool_version = $(shell sed -n 's|.*$(1) \(v[0-9.]*\).*|\1|p' .ci/tools/go.mod)
LINTER    := build/tools/golangci-lint-$(call tool_version,github.com/golangci/golangci-lint/v2)
GOTESTSUM := build/tools/gotestsum-$(call tool_version,gotest.tools/gotestsum)
VULNCHECK := build/tools/govulncheck-$(call tool_version,golang.org/x/vuln)

# The examples of guests are a module of their own.
GUESTS := docs/examples/guests

# The race detector needs a C compiler; the go command turns cgo off without one.
RACE := $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)

.PHONY: help build test lint fmt unit quick golden conformance licenses vuln example demo bench soak timing fuzz mutate xcaddy clean

help: ## show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

build: ## build bin/caddy as a release does
	$(RELEASE) $(GO) build $(RFLAGS) -ldflags "-s -w" -o $(CADDY) ./cmd/caddy

test: ## lint and run every test; under CI=true none may be skipped
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory build
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory example
	$(GO) run ./internal/dev/licenses -check
	$(GO) run ./internal/dev/conformance -run build/test.json -check

# The examples need not use every exception (LOG_LEVEL).
lint: $(LINTER) ## run the linters and check the formatting
	$(RELEASE) GOFLAGS="$(GOFLAGS) -trimpath" $(LINTER) run --allow-parallel-runners
	cd $(GUESTS) && LOG_LEVEL=error $(RELEASE) GOFLAGS="$(GOFLAGS) -trimpath" $(CURDIR)/$(LINTER) run --allow-parallel-runners

fmt: $(LINTER) ## format the sources and Caddyfile.example
	$(LINTER) fmt
	cd $(GUESTS) && $(CURDIR)/$(LINTER) fmt
	$(GO) run -tags $(TAGS) ./cmd/caddy fmt --overwrite Caddyfile.example

# The race detector makes everything three to ten times slower, so it watches where
# something runs side by side in the tests' own process. It need not watch the tests of
# texts and tables, nor those of the program that was built (what e2e runs of handlers and
# outbox in its own process is watched in their own tests), nor walks: tests that go
# through very much, mostly one thing after the other. Those take the flags of a release, with
# which most is compiled already.
UNWATCHED := /(bench|cmd/.*|e2e|e2e/(adversary|chaos|decoys|dendrite|outbox|pages|paths|siege|soak)|internal/(address|sms/gsm7|dev/.*|input|lab/(chromium|debian|dendrite|freeport|jssdk|kannel|postfix|sydent|synapse|twosample|venv)|phone|provenance))$$
WALKS := ^(Fuzz|Test(Every|Forms_|F15_|Guessing|Readers|ManyNumbers|BudgetsHold|FaultsAreTold|WhatIsValidated|AnythingValidated|Validate|Pasted|ExitCodes|Command|CaddyKnows|AddressMeans|Golden))

# -count=1: a result from the cache says nothing about the program that was just
# built. -shuffle: no test may rely on another having run before it. -p: most packages
# wait for other programs, for the disk, or for a time to pass, and do so side by side;
# -parallel: so do the tests that say they can.
PKGS ?= ./...
packages = $(shell $(GO) list -tags $(TAGS) $(PKGS) | grep $(1) -E '$(UNWATCHED)')
testing = @$(if $(1),$(GOTESTSUM) --format pkgname-and-test-fails --jsonfile build/$@.json -- \
	-tags $(TAGS) -p 3 -parallel 8 -count=1 -shuffle=on -timeout 30m $(2) $(1),: > build/$@.json)
unit: $(GOTESTSUM) race ## only the tests (PKGS=./store/... for a part of them)
	@mkdir -p build
	@$(MAKE) --no-print-directory -j3 -k watched walks unwatched
	@cat build/watched.json build/walks.json build/unwatched.json > build/test.json

.PHONY: watched walks unwatched
walks unwatched: export CGO_ENABLED = 0
watched:
	$(call testing,$(call packages,-v),$(RACE) -skip '$(WALKS)')
walks:
	$(call testing,$(call packages,-v),-trimpath -run '$(WALKS)')
unwatched:
	$(call testing,$(call packages,),-trimpath)

# Without the packages whose tests start other programs, or that need the race
# detector to be worth their time. What has not changed comes from the cache.
SLOW := /(caddymodule|e2e|bench|internal/(lab/(chromium|debian|dendrite|fakehs|jssdk|kannel|postfix|sydent|synapse)|dev/(licenses|xbuild)))(/|$$)
quick: ## the tests of the core, in about a minute: no servers or browsers, no race detector
	$(GO) test -tags $(TAGS) -p 4 -parallel 8 $$($(GO) list -tags $(TAGS) ./... | grep -vE '$(SLOW)')

.PHONY: race
race:
ifeq ($(RACE),)
	@echo '***********************************************************' >&2
	@echo '*** no C compiler: the tests run WITHOUT race detection ***' >&2
	@echo '***********************************************************' >&2
	@test "$$CI" != true || { echo 'Under CI=true the race detector is required.' >&2; exit 1; }
endif

# Validation provisions every module, so Caddy gets a home of its own.
example: build
	@mkdir -p build
	$(CADDY) fmt --diff Caddyfile.example > build/example.diff || { cat build/example.diff; exit 1; }
	XDG_DATA_HOME=$(CURDIR)/build/home XDG_CONFIG_HOME=$(CURDIR)/build/home $(CADDY) adapt --config Caddyfile.example > build/example.json
	XDG_DATA_HOME=$(CURDIR)/build/home XDG_CONFIG_HOME=$(CURDIR)/build/home $(CADDY) validate --config Caddyfile.example

golden: ## rewrite the golden files (tests with an -update flag); read the diff then
	$(GO) test -tags $(TAGS) -count=1 $$(grep -rl --include='*_test.go' 'flag.Bool("update"' . | xargs -n1 dirname | sort -u) -update
	UPDATE_GOLDEN=1 $(GO) test -tags $(TAGS) -count=1 -run 'Golden|Faults|Wiring' ./caddymodule

conformance: unit ## run the tests and rewrite docs/conformance.md
	$(GO) run ./internal/dev/conformance -run build/test.json -write

licenses: ## look at the modules' licences and rewrite docs/licenses.md
	$(GO) run ./internal/dev/licenses -write

# Not a part of `make test`: what is known changes from day to day, and is asked of
# the open internet. VULNFLAGS=-db=file:///… uses a copy.
vuln: $(VULNCHECK) ## look for known vulnerabilities (asks vuln.go.dev; not in make test)
	$(VULNCHECK) -tags $(TAGS) $(VULNFLAGS) ./...

demo: build ## walk through everything against a real Synapse, then stay up (DEMO_EXIT=1: leave)
	$(GO) run -tags $(TAGS) ./cmd/demo

bench: build ## measure and rewrite bench/RESULTS.md
	$(GO) run -tags $(TAGS) ./bench

SOAK  ?= 10m
SIEGE ?= -full
soak: ## keep the program under good and hostile load for SOAK (10m) and watch what it takes, then besiege it for a day (SIEGE= for less)
	$(GO) run -tags $(TAGS) ./e2e/soak -for $(SOAK)
	CGO_ENABLED=0 $(GO) test -tags $(TAGS) -trimpath -count=1 -v -timeout 6h -run '^TestSiege$$' ./e2e/siege $(SIEGE)

# Not a part of `make test`: the verdict is about the machine as well (ADR 16).
timing: ## compare the times of granted and refused requests, before a double and a real Synapse
	$(GO) run -tags $(TAGS) ./e2e/decoys
	$(GO) run -tags $(TAGS) ./e2e/decoys -synapse -pairs 150

FUZZTIME ?= 10s
FUZZ ?= .
fuzz: ## run every fuzz test for FUZZTIME (10s), or those like FUZZ; table in build/fuzz.txt
	@.ci/fuzz $(FUZZTIME) $(TAGS) "$(FUZZ)"

# The core: what is judged by the faults that its tests notice (docs/mutants.md). The rooms
# of handlers are judged by the tests of handlers, too, which go through them as a client does.
comma := ,
CORE := ./handlers $(patsubst %,./handlers/%$(comma)./handlers,bindings identity pages internal/hsapi internal/report internal/route internal/wire) \
	$(addprefix ./internal/,verification keyring sealed outbox mail sms failover smsfraud feedback feedback/webhook emailpolicy address phone input outbound) \
	./store ./store/badgerstore

# A package takes minutes: each fault is a build and a run of its tests, and of those of
# the packages that are named after it.
MUTATE ?= $(CORE)
N ?= 150
mutate: ## plant faults into the packages of CORE (MUTATE="./handlers", N=150, SEED=today) and count those that its tests notice
	$(GO) run ./internal/dev/mutants -tags $(TAGS) -n $(N) $(if $(SEED),-seed $(SEED)) $(MUTATE)

xcaddy: ## build build/caddy from xcaddy.json, as the plugin's users would
	$(GO) run ./internal/dev/xbuild -config xcaddy.json -o build/caddy

clean: ## remove what was built
	rm -rf bin build

$(LINTER): .ci/tools/go.sum
	CGO_ENABLED=0 $(GO) build -C .ci/tools -trimpath -ldflags "-s -w" -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

$(GOTESTSUM): .ci/tools/go.sum
	CGO_ENABLED=0 $(GO) build -C .ci/tools -trimpath -ldflags "-s -w" -o $(CURDIR)/$@ gotest.tools/gotestsum
	@touch $@

$(VULNCHECK): .ci/tools/go.sum
	CGO_ENABLED=0 $(GO) build -C .ci/tools -trimpath -ldflags "-s -w" -o $(CURDIR)/$@ golang.org/x/vuln/cmd/govulncheck
	@touch $@
