# make          lists the targets
# make dev      runs everything in one process
# make test     is what CI runs
.DEFAULT_GOAL := help
GO ?= go

help: ## list targets (default)
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## bin/kfbus
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/kfbus ./cmd/kfbus

dev: ## everything in one process: embedded NATS, the simulator, the four services, a chat page
	$(GO) run ./cmd/kfbus dev

test: ## everything: gofmt, vet, unit, end to end and fault tests under the race detector; containers where Docker answers
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-clean:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) test -race -timeout 15m ./...
	@if docker info >/dev/null 2>&1 || [ "$$KF_REQUIRE_DOCKER" = 1 ]; then $(MAKE) container; \
		else echo "SKIP container: no Docker daemon answers; with KF_REQUIRE_DOCKER=1 this is a failure"; fi

container: ## the bus cases on real servers in containers, the image, and the whole system under faults; needs Docker
	bash internal/bus/containertest/image.sh
	cd internal/bus/containertest && $(GO) vet ./... && $(GO) test -count=1 -v -timeout 15m ./...
	bash deploy/compose-plugin.sh
	bash deploy/image.sh
	bash deploy/nats-image.sh
	$(GO) vet -tags container ./internal/deploytest && $(GO) test -tags container -count=1 -v -timeout 20m ./internal/deploytest

short: ## the same without the race detector
	$(GO) test ./...

lint: ## golangci-lint, built from the module named in tools/go.mod
	$(GO) tool -modfile=tools/go.mod golangci-lint run

FUZZTIME ?= 60s
fuzz: ## each fuzz target for 60 s, or FUZZTIME
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
		echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done

SYNCER_BENCHES := BenchmarkSyncer|BenchmarkBacklog|BenchmarkIdle|BenchmarkCallbackToMessage
bench: bench-ingress bench-syncer bench-sender ## services against bare ones in the same run, in ratios (30 minutes); then every other benchmark
	$(GO) test -run '^$$' -bench . -skip 'BenchmarkIngress|$(SYNCER_BENCHES)' -benchmem $$($(GO) list ./... | grep -v '/services/sender$$')

bench-sender: ## the sender beside its floor, and with a million conversations (10 minutes)
	KF_LONG=1 $(GO) test -run '^$$' -bench . -benchtime 1x -timeout 60m ./services/sender

bench-ingress: ## the ingress against a bare one and against itself without group commit (2 minutes)
	$(GO) test -run '^$$' -bench Ingress -benchtime 1x ./services/ingress

bench-syncer: ## the syncer against two bare ones; a backlog of 500,000; 10,000 idle accounts; callback to message (10 minutes)
	$(GO) test -run '^$$' -bench '$(SYNCER_BENCHES)' -benchtime 1x -timeout 30m ./services/syncer ./cmd/kfbus

SYNCER_PROOFS := TestTenMinutesOfCallbacksSwallowed|TestCursorLostWithThreeDaysBehindIt|TestHostileMessagesBetweenGoodOnes
chaos-syncer: ## kill -9 of syncers, the broker, one of three brokers; a frozen syncer; five minutes of a failing platform; a lost cursor; KF_SEED repeats
	KF_CHAOS=1 $(GO) test ./cmd/kfbus -run 'TestChaos(Syncer|Broker|Cluster|Platform)|TestSyncerFrozen' -count=1 -v -timeout 30m
	KF_LONG=1 $(GO) test ./services/syncer -run '^($(SYNCER_PROOFS))$$' -count=1 -v -timeout 10m

SEEDS ?= 10000
sim: ## the sending rules in random worlds, SEEDS of them: every promise after every event; SEED=123 prints one world
	KF_SEEDS=$(SEEDS) KF_SEED=$(SEED) $(GO) test ./services/sender/window -run '^TestSim$$' -count=1 -v -timeout 60m

mutants: ## the simulation tested: each of a list of planted mistakes must break a promise
	$(GO) test ./services/sender/window -run '^TestMutants$$' -count=1 -v -timeout 30m

chaos-sender: ## senders as processes: races, doubtful answers, kill -9, freezes, lost ledgers, a restarted broker; KF_SEED repeats a run
	KF_CHAOS=1 $(GO) test ./cmd/kfbus -run 'TestChaosSender' -count=1 -v -timeout 60m

TOKENS := TestChaosTokens|TestRevokedUnderSends|TestATokenIsFreshAllDay|TestKeepersKilledAtEveryRefresh|TestPlatformDown|TestClockJumps|TestTwoLeaders|TestLostEntryAndLostBucket|TestTwoApps|TestKeepersUnderRandomFaults
chaos-tokens: ## kill -9 of tokenkeepers 50 times, two leaders, lost entries and buckets, hours without the platform: the figures
	KF_CHAOS=1 $(GO) test ./services/tokenkeeper ./cmd/kfbus -run '$(TOKENS)' -count=1 -v -timeout 20m

cover: ## coverage of each package
	$(GO) test -coverprofile=coverage.out ./... && $(GO) tool cover -func=coverage.out | tail -1

golden: ## write the golden files and generated documents again
	$(GO) test $$(grep -rl --include='*_test.go' 'flag.Bool("update"' . | xargs -n1 dirname | sort -u) -run 'Golden|Generated' -update

TAG ?= kfbus:local
image: ## the container image kfbus:local, or TAG, from this machine's Go; PLATFORM=linux/arm64 for another machine
	bash deploy/image.sh $(TAG) $(PLATFORM)

reproducible: ## build the binary twice, elsewhere and from nothing, and compare
	bash deploy/reproducible.sh

sbom: build ## bin/kfbus.cdx.json: every module in the binary, as CycloneDX
	bin/kfbus sbom > bin/kfbus.cdx.json

up: ## the whole system in containers, with images made here; compose.yaml says what, .env how
	bash deploy/compose-plugin.sh
	bash deploy/image.sh
	[ "$(NATS_IMAGE)" != kfbus-nats:local ] || bash deploy/nats-image.sh
	bash deploy/setup.sh
	NATS_IMAGE=$(NATS_IMAGE) docker compose up --wait

NATS_IMAGE ?= kfbus-nats:local
smoke: ## a message in, an answer out, over what `make up` started
	NATS_IMAGE=$(NATS_IMAGE) bash deploy/smoke.sh

down: ## stop it; what is stored stays in run/
	NATS_IMAGE=$(NATS_IMAGE) docker compose --profile '*' down

.PHONY: help build dev test container short lint fuzz bench bench-ingress bench-syncer bench-sender chaos-syncer chaos-sender chaos-tokens sim mutants cover golden image reproducible sbom up smoke down
