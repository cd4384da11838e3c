# make build   the program, in bin/rel
# make test    everything that must hold, with the set-up it needs; SETUP=no leaves the machine's packages alone
# make stacks  100 activations of each stack of docs/stacks under load, and its other kinds of restart, in about half an hour
# make bench   the tables of BENCHMARKS.md, in a quarter of an hour; BENCH= takes options, BENCH=--help names them

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
SOURCES     := cmd hooks internal
CROSS       := linux/arm64 darwin/arm64 darwin/amd64
FUZZSECONDS ?= 20

.NOTPARALLEL:
.PHONY: build test setup vet lint race cross fuzz stacks bench clean

build:
	$(GO) build -trimpath -o bin/rel ./cmd/rel

test: setup vet lint race cross fuzz

setup:
	@.ci/setup

vet:
	$(GO) vet ./...

lint:
	@echo "gofumpt -l $(SOURCES)" && out=$$($(GO) run $(GOFUMPT) -l $(SOURCES)) && \
	if [ -n "$$out" ]; then echo "not formatted as gofumpt does:"; echo "$$out"; exit 1; fi
	$(GO) run $(STATICCHECK) ./...

# The race detector needs a C compiler; without one the tests still run, unless this is CI.
race:
	@if command -v "$$($(GO) env CC)" >/dev/null; then \
		echo "$(GO) test -race ./..." && CGO_ENABLED=1 GO="$(GO)" .ci/test -race -timeout 18m; \
	elif [ "$$CI" = true ]; then echo "no C compiler for go test -race"; exit 1; \
	else echo "no C compiler: $(GO) test without -race" && GO="$(GO)" .ci/test -timeout 18m; fi

cross:
	@set -e; for target in $(CROSS); do echo "$(GO) build for $$target"; \
		GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0 $(GO) build ./...; done

fuzz:
	@GO="$(GO)" .ci/fuzz $(FUZZSECONDS)

stacks:
	@mkdir -p bin; REL_TEST_STACKS=$${REL_TEST_STACKS:-100} $(GO) test -count=1 -timeout 90m -run TestStacks -v ./internal/e2e >bin/stacks.log 2>&1; \
	code=$$?; grep -E 'activations in|^ *--- |^(ok|FAIL)' bin/stacks.log; exit $$code

bench:
	@$(GO) run ./internal/bench $(BENCH)

clean:
	rm -rf bin
