# ssyncp: IPVS connections that survive their director. `make help` says what
# there is. Works on Debian 12 as root, with Go; everything else is installed or
# fetched by the targets that need it.

SHELL := /bin/bash

# Kernels by their names in lab/kernels: the one that single targets take, those
# that `make test` covers, and all that directors run.
KERNEL  ?= 6.1.192
KERNELS ?= 6.1.192 6.1.176
MATRIX  ?= 5.10 6.1.176 6.1.192 6.12 7.2

# A kernel with its own debuggers, and what is not tried in it.
DEBUG_KERNEL ?= 6.1-debug
DEBUG_SKIP   ?= TestFailover$$|SYNFlood|UDPFailover

# Headers to build the module against; without it, those of KERNEL.
KDIR ?=

# Which guest tests to run, and for how long.
RUN     ?= .
TIMEOUT ?= 30m

RUNS     ?= 20
STRESS   ?= 5m
SOAK     ?= 1h
FUZZ     ?= 30m
SEED     ?=
FUZZTIME ?= 5s

VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  KERNEL=$(KERNEL)  a kernel of lab/kernels: $(MATRIX)"
	@echo "  KDIR=...        kernel headers, for kmod"
	@echo "  RUN=regexp      which guest tests"

kmod: ## Build kmod/ssyncp.ko, for KDIR or KERNEL
	@lab/install-packages build
	$(MAKE) -C kmod W=1 KDIR=$(or $(KDIR),$$(lab/fetch-kernel $(KERNEL))/build)

build: ## Build bin/ssyncpd
	CGO_ENABLED=0 go build -trimpath -ldflags='-X main.version=$(VERSION)' -o bin/ssyncpd ./cmd/ssyncpd

test: lint unit flood fuzz kmod-check guests dkms deb-check ## All of the following up to deb-check, with KERNELS

lint: ## gofmt, go vet, staticcheck, go.mod tidy
	@lab/install-packages build
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
		[[ -z $$files ]] || { echo "gofmt: $$files"; exit 1; }
	go mod tidy -diff
	go vet ./...
	go run $(STATICCHECK) ./...

unit: ## Unit tests with the race detector, fuzz corpora, the ABI test
	@lab/install-packages build guest unit
	go test -race ./...

# Both measure daemons, so that they are not run with the race detector.
flood: ## 50,000 bad frames a second, and sixteen receivers with one that loses
	@lab/install-packages build guest
	go test -count=1 -v -run='TestFloodOfBadFrames|TestCrowdWithOneThatLoses' ./internal/daemon

fuzz: ## Every fuzz target for FUZZTIME
	lab/fuzz $(FUZZTIME) ./pkg/... ./internal/...

kmod-check: ## checkpatch, sparse and W=1 on the module: no warning
	@lab/install-packages build check
	lab/check-module $(KERNELS)
	lab/check-probes

# Guests wait more than they compute: two share two processors well.
guests: guest-runner ## The tests in a guest for each of KERNELS, at the same time
	+$(MAKE) --jobs=2 --output-sync=target --assume-old=guest-runner parallel=yes $(KERNELS:%=guest-%)

guest: guest-$(KERNEL) ## The tests in a guest, in KERNEL

lab: guest ## The same by another name: make lab KERNEL=6.12

# The tests are an ordinary Go package: what makes them run in a guest is -exec.
GUESTS := $(sort $(KERNELS:%=guest-%) $(MATRIX:%=guest-%) guest-$(KERNEL))
$(GUESTS): guest-%: guest-runner
	@$(if $(filter-out $(KERNELS),$*),lab/install-packages matrix)
	CGO_ENABLED=0 go test -count=1 -v -timeout=$(TIMEOUT) -run='$(RUN)' \
		-exec='$(CURDIR)/.cache/bin/guest -put -interposer -kernel=$*' ./lab/guest

# What go test runs the tests of a guest with.
guest-runner:
	@lab/install-packages build guest
	go build -o .cache/bin/guest ./lab/cmd/guest

dkms: build ## Prove dkms.conf: DKMS builds for each of KERNELS, guests load that
	@lab/install-packages build guest dkms
	lab/dkms $(KERNELS)

deb: ## Debian packages, into dist/: ssyncp-dkms and ssyncpd
	@lab/install-packages build deb
	contrib/deb dist

deb-check: ## They are clean for lintian, and reproducible
	@lab/install-packages build deb
	lab/check-packages

rpm: ## The same two packages for distributions with RPM, into dist/
	@lab/install-packages build deb rpm
	contrib/rpm/build dist

rpm-check: ## They have what the others have, are reproducible, and are installed, upgraded and removed; KERNEL
	@lab/install-packages build dkms deb rpm
	lab/check-rpms $(KERNEL)

deb-upgrade: ## DKMS at installing, upgrading, removing, purging, installing again: in a directory with Debian
	@lab/install-packages build deb trial
	lab/upgrade-packages $(KERNEL)

trial: ## A new user on Debian: packages, README, systemd, upgrades, purging
	@lab/install-packages build guest deb trial
	go test -count=1 -v -timeout=1h -run=TestNewUser ./lab/trial -kernel=$(KERNEL)

matrix: matrix-check $(MATRIX:%=guest-%) ## The static checks and the tests in a guest, for each of MATRIX

matrix-check:
	@lab/install-packages build check matrix
	lab/check-module $(MATRIX)

stress: stress-$(KERNEL) ## What can happen to directors, all of it at once for STRESS, in KERNEL

STRESSES := $(sort $(MATRIX:%=stress-%) stress-$(KERNEL))
$(STRESSES): stress-%: guest-runner
	@lab/install-packages matrix
	CGO_ENABLED=0 go test -count=1 -v -timeout=4h -run=TestStress \
		-exec='$(CURDIR)/.cache/bin/guest -put -interposer -memory=2048 -limit=4h -append=STRESS=$(STRESS) -kernel=$*' ./lab/guest

# The kernel notes who allocates from the caches that the module takes from.
soak: guest-runner ## Months of a pair with keepalived, in SOAK: no stream lost, no memory kept; SEED
	@lab/install-packages matrix
	CGO_ENABLED=0 go test -count=1 -v -timeout=4h -run='^TestSoak$$' \
		-exec='$(CURDIR)/.cache/bin/guest -put -memory=1024 -limit=4h "-append=SOAK=$(SOAK) SOAK_SEED=$(SEED) slub_debug=U,kmalloc-cg-*,ip_vs_conn" -kernel=$(KERNEL)' ./lab/guest

matrix-stress: $(MATRIX:%=stress-%) ## The same in each kernel of MATRIX

# Directors that have to be alike whatever happens to them and to the network.
CLUSTER_TESTS := TestLoss|TestPartition|TestLateLink|TestRebootedDirectorIsWhole|TestDonorDies|TestServiceDrift|TestFlushOnOneSide
CLUSTER_TESTS := $(CLUSTER_TESTS)|TestAnyOfThreeActiveDirectorsMayDie|TestThreeDirectorsStartAtOnce|TestRollingUpgrade.*|TestKeyRotation
CLUSTER_TESTS := $(CLUSTER_TESTS)|TestStatefulFirewall|TestFirewallWithoutIPVS|TestFirewallComparedWithConntrackd|TestFirewallsAndTheirLink

lab-cluster: guest-runner ## The guest tests of version 2 among directors, in full: 100,000 connections, every order
	@lab/install-packages matrix compare
	CGO_ENABLED=0 go test -count=1 -v -timeout=$(TIMEOUT) -run='^($(CLUSTER_TESTS))$$' \
		-exec='$(CURDIR)/.cache/bin/guest -put -interposer -memory=2048 -append=CLUSTER=full -kernel=$(KERNEL)' ./lab/guest

fuzz-device: guest-runner ## Every system call of /dev/ssyncp with any argument, for FUZZ, in KERNEL; SEED
	@lab/install-packages matrix
	CGO_ENABLED=0 go test -count=1 -v -timeout=4h -run='^TestDeviceFuzz$$' \
		-exec='$(CURDIR)/.cache/bin/guest -put -memory=2048 -limit=4h "-append=FUZZ=$(FUZZ) FUZZ_SEED=$(SEED)" -kernel=$(KERNEL)' ./lab/guest

# A tenth as fast: what is about being quick enough says nothing there.
lab-debug: guest-runner ## The tests in a guest, in a kernel with KASAN, lockdep, kmemleak ...
	lab/fetch-kernel $(DEBUG_KERNEL)
	CGO_ENABLED=0 go test -count=1 -v -timeout=2h -run='$(RUN)' -skip='$(DEBUG_SKIP)' \
		-exec='$(CURDIR)/.cache/bin/guest -put -interposer -memory=2048 -limit=2h -kernel=$(DEBUG_KERNEL)' ./lab/guest

demo: ## A director loses its power, with ssyncp and without
	@lab/install-packages build guest
	go run ./lab/failover demo --kernel $(KERNEL)

failover: ## The same RUNS times over, with the verdict
	@lab/install-packages build guest
	go run ./lab/failover run --kernel $(KERNEL) --runs $(RUNS)

bench: ## Go benchmarks
	go test -run '^$$' -bench . -benchmem ./pkg/... ./internal/peering

bench-ctnetlink: ## Reading events of conntrack: this project's own code, and a library's
	cd lab/bench/ctlibrary && go vet . && go test -count=1 . && go test -run '^$$' -bench . -count=5 .

bench-conntrack: ## conntrackd, and this daemon in its place: streams that survive, bytes on the link
	@lab/install-packages build compare
	go test -count=5 -v -run=TestComparedWithConntrackd ./internal/daemon

bench-pipeline: ## Two whole daemons with a link between them: throughput, latency
	go run ./lab/bench/pipeline -svg docs/benchmarks-pipeline.svg

bench-kernel: ## Instructions per connection and per packet, in a guest
	@lab/install-packages build guest compare
	go run ./lab/bench -kernel $(KERNEL) -svg docs/benchmarks-$(KERNEL).svg

install: build ## Module (DKMS), daemon, unit, udev rule, completions, configuration; KERNEL is the running one
	KERNEL=$(if $(filter command environment,$(origin KERNEL)),$(KERNEL)) DESTDIR=$(DESTDIR) contrib/install install

uninstall: ## Take all of it away again, but /etc/ssyncp
	DESTDIR=$(DESTDIR) contrib/install uninstall

clean: ## Remove what was built; .cache/kernels stays
	rm -rf bin dist .cache/{bin,check,image,kmod}
	@[[ ! -e .cache/kernels/$(KERNEL)/build ]] || $(MAKE) -C kmod KDIR=$(CURDIR)/.cache/kernels/$(KERNEL)/build clean

ifndef parallel # but for guests
.NOTPARALLEL:
endif
.PHONY: help kmod build test lint unit flood fuzz kmod-check guest guests guest-runner lab matrix matrix-check matrix-stress lab-debug lab-cluster stress soak fuzz-device \
	demo failover bench bench-pipeline bench-kernel dkms install uninstall bench-ctnetlink bench-conntrack deb deb-check deb-upgrade rpm rpm-check trial clean \
	$(GUESTS) $(STRESSES)
