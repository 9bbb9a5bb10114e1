# Bascule: build, check, try. Needs Go (as go.mod says), git, make, gcc (for the race detector); no root.
#
#   make build            bin/basculed, bin/hactl
#   make deb [ARCHES=amd64]  dist/bascule_VERSION_{amd64,arm64}.deb
#   make install-test     the package installed, upgraded, removed and purged in a Debian that is booted for it; a site of two nodes and a witness (root; about 10 minutes)
#   make lab              bin/halab, and for its nodes bin/lab/basculed and hactl
#   make test             everything that a commit must pass
#   make e2e              whole clusters lose nodes, daemons, networks (a quarter of an hour)
#   make init-demo        three bare nodes are set up with hactl init and join, one dies, it is taken out
#   make demo [FENCING=redfish|ipmi|sbd|watchdog]   a cluster on this machine loses a node before your eyes
#   make bench-failover   N failovers measured (N=20)
#   make bench-load       NODES (16) nodes with 500 guests, and 100 guests of one node: idle, and when a node dies (about 6 minutes)
#   make cold-start       the power of everything is lost, N times (N=20: about 30 minutes; SEED=n repeats the rounds of an earlier one)
#   make idle             what an idle cluster costs
#   make sim SEEDS=n [SEED0=m]   n simulated sites in which everything goes wrong, judged
#   make sim-mutants      deliberate bugs, and the simulated site that catches each (about 8 minutes)
#   make sim-cover        what the simulated sites and scenarios execute of the deciding code
#   make peer-scenarios DIR=...  another system's regression suite, played here
#   make pve-conformance  the lab's Proxmox against what was recorded of a real one (SHARED=directory that has pve/; 1 minute)
#   make fencing-real     every fencing method against the real thing (about 6 minutes; installs packages)
#   make storage-real     what is said and done about storages, against real ones (about 5 minutes; installs packages)
#   make fuzz             each fuzz target for FUZZTIME (30s)

GO       ?= go
N        ?= 20
FUZZTIME ?= 30s
NODES    ?= 16
SEEDS    ?= 2000
SEED0    ?= 0
DIR      ?= ../shared/peer-scenarios
FENCING  ?= redfish
SEED     ?= 0
SHARED   ?= ../shared
ARCHES   ?= amd64 arm64
DIST     ?= dist
DEBBUILD ?= bin/deb

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# Reproducible: the same commit gives the same bytes in any directory.
BUILD    := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=$(VERSION)"
# The commit's time, in all that the package holds.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
CHECK    := $(GO) run honnef.co/go/tools/cmd/staticcheck

# Packages whose files differ with the tag "lab": these are tested twice.
LAB_PKGS  = $(shell { $(GO) list -f '{{.ImportPath}} {{.GoFiles}}{{.TestGoFiles}}{{.XTestGoFiles}}' ./...; \
	$(GO) list -tags lab -f '{{.ImportPath}} {{.GoFiles}}{{.TestGoFiles}}{{.XTestGoFiles}}' ./...; } | sort | uniq -u | cut -d' ' -f1 | sort -u)

.DEFAULT_GOAL := build
.PHONY: build lab deb deb-check install-test test format vet staticcheck units race race-lab sim sim-ci sim-mutants sim-mutants-some sim-cover peer-scenarios pve-conformance fencing-real storage-real e2e e2e-some init-demo demo bench-failover bench-load cold-start idle fuzz clean

# The compiler knows best what is up to date.
build:
	$(BUILD) -o bin/basculed ./cmd/basculed
	$(BUILD) -o bin/hactl ./cmd/hactl

lab:
	$(BUILD) -tags lab -o bin/lab/basculed ./cmd/basculed
	$(BUILD) -o bin/hactl ./cmd/hactl
	$(BUILD) -tags lab -o bin/lab/hactl ./cmd/hactl
	$(BUILD) -tags lab -o bin/halab ./cmd/halab

# Packages lie beside each other, one per version and architecture. Man pages and completions come from the commands themselves.
deb: deb-pages
	@for arch in $(ARCHES); do \
		GOARCH=$$arch $(BUILD) -o $(DEBBUILD)/$$arch/basculed ./cmd/basculed && \
		GOARCH=$$arch $(BUILD) -o $(DEBBUILD)/$$arch/hactl ./cmd/hactl && \
		(cd systemd/deb && $(GO) run . -root ../.. -bin $(abspath $(DEBBUILD))/$$arch -pages $(abspath $(DEBBUILD))/pages -out $(abspath $(DIST)) \
			-arch $$arch -version '$(VERSION)' -seconds $(SOURCE_DATE_EPOCH)) || exit 1; \
	done

.PHONY: deb-pages
deb-pages:
	rm -rf $(DEBBUILD)/pages
	$(GO) run -tags pages ./cmd/hactl $(DEBBUILD)/pages $(SOURCE_DATE_EPOCH)
	$(GO) run -tags pages ./cmd/basculed $(DEBBUILD)/pages $(SOURCE_DATE_EPOCH)

# What a package holds, with stand-ins for the programs.
deb-check:
	cd systemd/deb && $(GO) vet . && $(GO) test .

install-test:
	bash tests/install/run.sh

test: format vet staticcheck units deb-check race race-lab sim-ci sim-mutants-some e2e-some
	@echo "make test: passed: gofmt, go vet and staticcheck (with and without the tags lab, e2e and fencingreal), units, the package, go test -race, simulated sites, mutants, e2e ($(VERSION))"

format:
	@bad=$$(find . -name '*.go' -not -path './.git/*' -not -path './bin/*' -print0 | xargs -0 gofmt -l); \
	if [ -n "$$bad" ]; then echo "not formatted; run gofmt -w on:"; echo "$$bad"; exit 1; fi

# e2e and fencingreal only add files to a release build; lab and pages replace some. So two looks see every file, each beside the files that it
# is built with (tests/arch checks it).
TAG_SETS = e2e,fencingreal lab,pages
vet:
	@set -ex; for tags in $(TAG_SETS); do $(GO) vet -tags $$tags ./...; done

staticcheck:
	@set -ex; for tags in $(TAG_SETS); do $(CHECK) -tags $$tags ./...; done

# Skips with a message where systemd-analyze is missing. -count=1: the result depends on the machine's systemd.
units:
	@command -v systemd-analyze >/dev/null || echo "units: systemd-analyze is missing (package systemd): only their text is checked"
	$(GO) test -count=1 ./systemd

# These run in one thread on virtual time (tests/arch holds the pure packages and the simulator to it, and their tests): the race detector can
# find nothing there and costs minutes. Three packages at a time: of those with sockets and processes most wait most of the time.
ONE_THREAD = ha ha/leader ha/node ha/ladder ha/placement tests/sim tests/scenarios tests/scenarios/peer tests/arch
race:
	$(GO) test -race -p 3 -timeout 30m $$($(GO) list ./... | grep -vxF $(ONE_THREAD:%=-e bascule/%))
	$(GO) test -timeout 30m $(ONE_THREAD:%=./%)

race-lab:
	@pkgs="$(LAB_PKGS)"; if [ -n "$$pkgs" ]; then set -x; $(GO) test -race -tags lab $$pkgs; fi

# SEED0=0: drawn from the clock, printed.
sim:
	$(GO) run ./tests/sim/simrun -seeds $(SEEDS) -seed0 $(SEED0)

# A fixed set beyond the 150 of the tests in tests/sim, and a small fresh one that finds what nobody thought of.
sim-ci:
	$(GO) run ./tests/sim/simrun -seeds 1350 -seed0 151
	$(GO) run ./tests/sim/simrun -seeds 250

sim-mutants:
	$(GO) run ./tests/sim/mutants -jobs 2

# Some of the mutants, so that a judge who has gone blind is seen.
SOME_MUTANTS = drain-target-no-holder,permit-while-killing,one-off-is-enough,revoke-by-name,commit-without-term,claim-from-living,no-quiet-time,leader-promises
sim-mutants-some:
	$(GO) run ./tests/sim/mutants -jobs 2 -only '$(SOME_MUTANTS)'

COVERED = bascule/ha/leader,bascule/ha/node,bascule/ha/ladder
sim-cover:
	@dir=$$(mktemp -d); \
	$(GO) build -cover -coverpkg=bascule/tests/sim/simrun,$(COVERED) -o $$dir/simrun ./tests/sim/simrun && mkdir $$dir/data && \
	GOCOVERDIR=$$dir/data $$dir/simrun -seeds $(SEEDS) -seed0 $(SEED0) | tail -1 && \
	$(GO) test -count=1 -cover -coverpkg=$(COVERED) ./tests/scenarios/... -args -test.gocoverdir=$$dir/data >/dev/null && \
	$(GO) tool covdata percent -i=$$dir/data -pkg=$(COVERED); rm -rf $$dir

peer-scenarios:
	$(GO) run ./tests/scenarios/peerrun $(DIR)

# Recorded requests replayed, and every parameter of every route against the API's schema. Runs the test's own binary, so
# that RESULT is the last line. Without the recordings the tests skip, and say so.
pve-conformance:
	@dir=$$(mktemp -d) && trap 'rm -rf $$dir' EXIT && $(GO) test -c -o $$dir/pvesim.test ./tests/lab/pvesim || exit 1; \
	shared=$$(realpath -m '$(SHARED)'); cd tests/lab/pvesim && \
	BASCULE_SHARED=$$shared $$dir/pvesim.test -test.v -test.run 'TestConformance|TestSchema|TestRecordings|TestDelays|TestNotes' -result >$$dir/log; status=$$?; \
	grep -E -- '--- (FAIL|SKIP)|_test.go:|^RESULT' $$dir/log; exit $$status

# Every fencing method against the real thing; installs Debian packages.
fencing-real:
	bash tests/fencingreal/run.sh

# The same for storages: Ceph, LVM on iSCSI through multipath in a virtual machine, file systems on loop devices.
storage-real:
	bash tests/fencingreal/run.sh storage

# Needs a quiet machine: the tests have deadlines. A failed test keeps its lab's directory and says where.
# One lab at a time: a second one would take the processor away from the first.
e2e: lab
	$(GO) test -count=1 -tags e2e -parallel 1 -timeout 60m ./tests/lab/e2e
	$(GO) test -count=1 -tags e2e -run TestJumboFramesVanish ./ha/setup/doctor/gather

# What make test has time for, in labs that do not mind a slow machine: two at once, which mostly wait.
e2e-some: lab
	$(GO) test -count=1 -tags e2e -parallel 2 -timeout 30m -run 'TestDeadStore|TestDaemonCrash|TestLyingBMC' ./tests/lab/e2e

# hactl init and join on bare nodes, a death, hactl remove: every command with what it prints, and the seconds.
init-demo: lab
	$(GO) test -count=1 -v -tags e2e -timeout 10m -run TestInitAndJoin ./tests/lab/e2e

demo: lab
	bin/halab demo --bin bin/lab --fencing $(FENCING)

bench-failover: lab
	bin/halab bench-failover --bin bin/lab --n $(N) --corosync both

# Needs the machine to itself: two daemons a node and a process or two a guest share it. Two cores carry 16 nodes; 32 (the most) need about
# four. The patient profile leaves such a machine room to breathe.
bench-load: lab
	bin/halab bench-load --bin bin/lab --nodes $(NODES) --guests 500 --timing patient --guest-tick 2s --stagger 3s
	bin/halab bench-load --bin bin/lab --nodes 5 --guests 20 --pile 96 --guest-tick 200ms --idle 0

# SEED=0: drawn from the clock, printed.
cold-start: lab
	bin/halab cold-start --bin bin/lab --n $(N) --seed $(SEED)

idle: lab
	bin/halab idle --bin bin/lab

# One target of one package at a time: that is all that go test -fuzz takes.
fuzz:
	@grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do \
		dir=$$(dirname "$$file"); \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			echo "$$dir $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$dir" || exit 1; \
		done; \
	done

clean:
	rm -rf bin dist
