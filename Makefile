# Every program is built in the folder of its own module and is written to bin/.
# Only images and e2e-kind need Docker. No target needs root.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

GATEWAY     := v5.8.1
PLATFORM    := linux_$(shell go env GOARCH)
PLUGIN      := bin/plugins/identity_$(GATEWAY)_$(PLATFORM).so
OLDEST_PLUGIN := bin/gateways/v5.8.0/plugins/identity_v5.8.0_$(PLATFORM).so
NOOP        := bin/plugins/noop_$(GATEWAY)_$(PLATFORM).so
TESTPLUGINS := $(foreach name,loadpanic callpanic customauth,bin/plugins/$(name)_$(GATEWAY)_$(PLATFORM).so)
E2E         := bin/orders bin/inventory bin/reports bin/demo bin/bench bin/testall
MODULES     := . plugins extauthz e2e e2e/istiod charts release

# Sources without tests: a changed test causes no build.
sources = $(shell find $(1) -name '*.go' -not -name '*_test.go') $(wildcard $(addsuffix /go.mod,$(1)) $(addsuffix /go.sum,$(1)))
SHARED := $(call sources,shared internal) go.mod go.sum

# building,NOTE prints what is built, before it is built.
define building
	@echo "building $@$(if $(1), ($(1)))"
	@mkdir -p $(@D)
endef

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: bin/tyk bin/tyk-templates $(PLUGIN) bin/meshpass bin/envoy $(E2E) ## Build everything but Istio's control plane

.PHONY: plugin
plugin: $(if $(TYK_SRC)$(TYK_BIN),,bin/tyk) ## Build the Tyk plugin and load it with its gateway [TYK_SRC=DIR] [TYK_VERSION=vX.Y.Z] [TYK_BIN=FILE] [OUT=DIR]
	@plugins/build.sh

.PHONY: istiod
istiod: bin/istiod ## Build Istio's control plane (minutes, the first time)

.PHONY: demo
demo: build $(if $(ISTIOD),bin/istiod) ## Run the tour on loopback [KEEP=1] [KEEP_DIR=DIR] [ISTIOD=1] [REDIS_ADDR=HOST:PORT]
	@bin/demo $(if $(KEEP),-keep) $(if $(KEEP_DIR),-keep-dir '$(KEEP_DIR)') $(if $(ISTIOD),-istiod) $(if $(REDIS_ADDR),-redis $(REDIS_ADDR))

.PHONY: test-programs
test-programs: build bin/istiod bin/istio-iptables $(OLDEST_PLUGIN) $(NOOP) $(TESTPLUGINS)

.PHONY: test
test: test-programs ## Run all tests of all modules [ONLY=shared,e2e] [OLDEST=go1.23.12]
	@bin/testall $(if $(ONLY),-only $(ONLY)) $(if $(OLDEST),-oldest $(OLDEST))

.PHONY: test-tools
test-tools: bin/helm bin/git-sync ## Build Helm and git-sync, whose tests are NOT RUN without them [GIT_SYNC_SRC=DIR]

.PHONY: bench
bench: build bin/allowall bin/istiod $(NOOP) $(if $(PEERS),peers) ## Measure costs as ratios, in interleaved rounds [ROWS=REGEXP] [ROUNDS=5] [DURATION=2s] [PEERS=1] [JSON=FILE]
	@bin/bench $(if $(ROWS),-rows '$(ROWS)') $(if $(ROUNDS),-rounds $(ROUNDS)) $(if $(DURATION),-duration $(DURATION)) $(if $(PEERS),-peers) $(if $(JSON),-o json >'$(JSON)')

.PHONY: peers
peers: ## Build the other projects that bench PEERS=1 measures, where their modules are served (minutes, the first time)
	@e2e/bench/build-peers.sh

.PHONY: bench-go
bench-go: ## Run all Go benchmarks: the parts of a decision, tokens by algorithm, policies
	go test -run '^$$' -bench . ./...
	cd extauthz && go test -run '^$$' -bench . ./...
	cd plugins && go test -tags goplugin -trimpath -run '^$$' -bench . ./identity

.PHONY: sweep
sweep: bin/meshpass bin/allowall bin/sweep ## Measure Checks by connections, load, GOMAXPROCS, token size, headers and documents; draw docs/performance/*.svg [ONLY=documents]
	@bin/sweep $(if $(ONLY),-only '$(ONLY)')

.PHONY: soak
soak: build bin/istiod bin/soak ## Change everything under load, and kill the services that the mesh depends on; bin/soak-report/report.md [DURATION=2m] [RATE=PER_SECOND]
	@nice bin/soak -report bin/soak-report $(if $(DURATION),-duration $(DURATION)) $(if $(RATE),-rate $(RATE))

.PHONY: flood
flood: bin/meshpass bin/flood ## Flood an authorizer with each kind of input, and check its bounds [DURATION=10m] [KIND=tokens,paths] [RATE=PER_SECOND] [PARALLEL=1]
	@bin/flood $(if $(DURATION),-duration $(DURATION)) $(if $(KIND),-kind $(KIND)) $(if $(RATE),-rate $(RATE)) $(if $(PARALLEL),-parallel $(PARALLEL))

.PHONY: sizing
sizing: bin/meshpass bin/sizing ## Measure the CPU and memory of Checks, documents, cached tokens and reloads [DURATION=20s] [RATE=1000]
	@bin/sizing $(if $(DURATION),-duration $(DURATION)) $(if $(RATE),-rate $(RATE))

.PHONY: trace-proof
trace-proof: bin/meshpass bin/tracefeed ## Let `meshpass trace` read logs of any size, and measure its memory [GIGABYTES=10] [TOP=1]
	@bin/tracefeed $(if $(GIGABYTES),-gigabytes $(GIGABYTES)) $(if $(TOP),-top)

FUZZTIME := 30s

# Only packages that have fuzz targets are compiled; go test lists the targets.
.PHONY: fuzz
fuzz: export GOFLAGS += -trimpath -tags=goplugin
fuzz: bin/envoy bin/meshpass ## Run every fuzz target of all modules, one after another [FUZZTIME=30s]
	@failed=0; for module in $(MODULES); do \
		for package in $$(cd $$module && go list -f '{{.Dir}}' ./...); do \
			grep -qs '^func Fuzz' $$package/*_test.go || continue; \
			cd $$package; \
			for target in $$(go test -list '^Fuzz' . | grep '^Fuzz'); do \
				echo "fuzz $${package#$(CURDIR)/} $$target for $(FUZZTIME)"; \
				go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) . || failed=1; \
			done; cd $(CURDIR); \
		done; \
	done; exit $$failed

# Before the plugins, which take minutes.
.PHONY: bundle-key
bundle-key:
	@$(if $(UNSIGNED)$(wildcard $(KEY)),,echo "make bundle: $(if $(KEY),there is no file $(KEY),write KEY=FILE or UNSIGNED=1); openssl genrsa -out bundle-key.pem 3072 makes a key" >&2; exit 2)

.PHONY: bundle
bundle: bundle-key bin/meshpass $(PLUGIN) $(OLDEST_PLUGIN) ## Build bin/meshpass.zip, a Tyk bundle with each plugin that was built KEY=FILE [UNSIGNED=1]
	@bin/meshpass tyk bundle build --out bin/meshpass.zip $(if $(KEY),--key '$(KEY)') $(if $(UNSIGNED),--unsigned) \
		$(PLUGIN) bin/gateways/*/plugins/identity_*.so

.PHONY: release
release: bin/tyk ## Write a release to dist/ VERSION=vX.Y.Z KEY=FILE [BUNDLE_KEY=FILE] [TYK_SOURCES="vX.Y.Z=DIR ..."] [UNSIGNED=1] [CHANGED=1]
	@cd release && $(alone) go run . -out ../dist -version '$(VERSION)' $(if $(KEY),-key '$(abspath $(KEY))') $(if $(UNSIGNED),-unsigned) $(if $(CHANGED),-changed) \
		$(if $(BUNDLE_KEY),-bundle-key '$(abspath $(BUNDLE_KEY))') -tyk $(GATEWAY)= -tyk 'v5.8.0=$(call tyk-source,plugins/compat/v5.8.0)' \
		$(foreach source,$(TYK_SOURCES),-tyk '$(source)')

.PHONY: release-check
release-check: bin/tyk ## Make a release twice, in two folders, and compare every byte [FRESH=1]
	@FRESH='$(FRESH)' release/reproduce.sh

.PHONY: images
images: ## Build the two images, with Docker
	docker build -f Dockerfile.authz --build-arg REVISION=$$(git rev-parse HEAD) --build-arg DATE=$$(git log -1 --format=%cI) -t meshpass/authz:dev .
	docker build -f Dockerfile.plugin --build-arg REVISION=$$(git rev-parse HEAD) --build-arg DATE=$$(git log -1 --format=%cI) --build-arg TYK_VERSION=$(or $(TYK_VERSION),$(GATEWAY)) -t meshpass/tyk-plugin:dev .

.PHONY: lint-proof
lint-proof: test-programs ## Cause on the real gateway, Envoy and control plane the faults that `meshpass lint` calls seen
	cd e2e && go test -tags lintproof -count=1 ./gateway -run '^(TestLintFacts|TestLintDefinitions|TestLintGateways|TestLintParts|TestLintPolicies|TestLintPolicyFiles|TestUnguardedAPIs|TestWays|TestResponseCache|TestDetailedRecording|TestCanary|TestControlAPI|TestKinds|TestOpenAPIDefinitions|TestBundles|TestBrokenPlugins)$$'
	cd e2e && go test -count=1 ./drills -run '^(TestDrills|TestRetries)$$'
	cd e2e && go test -tags lintproof -count=1 ./fidelity -run '^(TestNormalisation|TestLintDecisions|TestLintTraffic|TestLintOutages|TestLintAccessLog)$$'
	cd e2e && go test -tags lintproof -count=1 ./envoy -run '^TestLintRoutes$$'
	cd e2e && go test -tags lintproof -count=1 ./netns -run '^TestLintInterception$$'
	cd e2e && go test -tags lintproof -count=1 . -run '^(TestTopologies|TestTrustComesAndGoes|TestLintTracing)$$'
	cd e2e/istiod && go test -tags lintproof -count=1 -run '^(TestLintFacts|TestLintTimeout|TestLintChains|TestLintCapture|TestLintSettings|TestLintReach|TestLintRejected|TestChains)$$' .

.PHONY: rbac-proof
rbac-proof: test-programs ## Send random requests through gateways with the Tyk policies of `meshpass rbac generate` [REQUESTS=10000 for each case]
	cd e2e && RBAC_REQUESTS=$(or $(REQUESTS),10000) go test -count=1 -timeout 60m -v ./gateway -run '^TestRBACGenerate'

.PHONY: routes-proof
routes-proof: bin/tyk bin/tyk-templates bin/meshpass bin/envoy bin/istiod ## Compare routes from definitions with the real gateway by random requests [REQUESTS=10000]
	cd extauthz && ROUTES_DEFINITIONS=$(or $(REQUESTS),10000) go test -count=1 -v -timeout 60m -run '^TestRandomDefinitions$$' ./internal/routes
	cd e2e && ROUTES_REQUESTS=$(or $(REQUESTS),10000) go test -count=1 -v -timeout 60m ./routes

.PHONY: lint-load
lint-load: bin/meshpass ## Measure `meshpass lint` and `meshpass routes` on 2,000 API definitions and 5,000 objects: time, CPU, memory
	@cd e2e && go run ./cmd/lintload

.PHONY: manifests-check
manifests-check: bin/istiod ## Build every overlay and check each object as a cluster would
	@bin/istiod validate --mesh manifests/istio/install.yaml --dir manifests

.PHONY: charts
charts: ## Write what the charts copy from manifests, and their READMEs
	@cd charts && go run ./cmd/generate

.PHONY: compat
compat: test-programs ## Test the plugin in every release, and write docs/compatibility.md [COMPAT_SRC=DIR of checkouts named vX.Y.Z]
	@cd plugins && COMPAT_SRC='$(abspath $(COMPAT_SRC))' go run ./compat table -doc ../docs/compatibility.md \
		'v5.8.0=$(call tyk-source,plugins/compat/v5.8.0)' 'v5.8.1=$(call tyk-source,plugins)' \
		$(sort v5.8.15 v5.13.1 v5.14.0 $(if $(COMPAT_SRC),$(notdir $(wildcard $(COMPAT_SRC)/v*))))

.PHONY: dump
dump: bin/istiod ## Update the checked-in dump of istiod's output
	cd e2e && go test ./localmesh/dump -count=1 -update

ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# -trimpath reuses the packages that the builds have compiled. golangci-lint does not run on e2e/istiod: it takes minutes to load Istio.
.PHONY: lint
lint: export GOFLAGS += -trimpath
lint: ## gofmt, go vet, tidy modules, golangci-lint, actionlint, words, names and commit subjects
	@.ci/style
	@go run $(ACTIONLINT) .github/workflows/*.yaml
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo "run gofmt -w on these"; exit 1; }
	@failed=0; for module in $(MODULES); do \
		echo "lint $$module"; \
		(cd $$module && go mod tidy -diff && go vet -tags goplugin ./... && \
			{ [ $$module = e2e/istiod ] || go run $(GOLANGCI) run --build-tags goplugin; }) || failed=1; \
	done; exit $$failed

DOCS_ENV := bin/docs-env

.PHONY: docs
docs: $(DOCS_ENV) ## Build the documentation as a site with search, bin/site; every link is checked
	@rm -rf bin/site-pages && mkdir -p bin/site-pages/docs && cp *.md bin/site-pages && cp docs/*.md docs/*.svg bin/site-pages/docs
	@NO_MKDOCS_2_WARNING=1 $(DOCS_ENV)/bin/mkdocs build --strict -f docs/site/mkdocs.yml && echo "open bin/site/index.html"

$(DOCS_ENV): docs/site/requirements.txt
	$(call building,mkdocs from PyPI)
	@rm -rf $@ && python3 -m venv $@ && $@/bin/pip install --quiet --disable-pip-version-check -r $< && touch $@

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin dist

# The gateway reads its version from this variable. Without it, the gateway would look for plugins of another version.
bin/tyk: plugins/tools.go plugins/go.mod plugins/go.sum
	$(call building,the gateway: this takes minutes the first time)
	@cd plugins && go build -tags goplugin -trimpath \
		-ldflags "-X github.com/TykTechnologies/tyk/internal/build.Version=$(GATEWAY)" \
		-o ../$@ github.com/TykTechnologies/tyk

# The gateway's own error pages, from its module.
bin/tyk-templates: plugins/go.mod
	$(call building)
	@rm -rf $@ && cp -r "$$(cd plugins && go list -m -f '{{.Dir}}' github.com/TykTechnologies/tyk)/templates" $@ && chmod -R u+w $@ && find $@ -name "*.go" -delete && touch $@

# The plugins that other targets need do not depend on the parameters of `make plugin`.
alone := TYK_SRC= TYK_VERSION= TYK_BIN= OUT=

$(PLUGIN): $(call sources,plugins/identity) $(SHARED) plugins/go.mod plugins/go.sum plugins/build.sh | bin/tyk
	$(call building)
	@$(alone) plugins/build.sh >/dev/null

# $(call tyk-source,FOLDER) is the source folder of the Tyk release that the module in FOLDER requires.
tyk-source = $(shell cd $(1) && go mod download github.com/TykTechnologies/tyk && go list -m -f '{{.Dir}}' github.com/TykTechnologies/tyk)

# The oldest supported release, built from its own source. Its plugin gets this name only after its gateway has loaded it.
$(OLDEST_PLUGIN): $(call sources,plugins/identity) $(SHARED) plugins/build.sh plugins/compat/v5.8.0/go.mod
	$(call building)
	@$(alone) TYK_VERSION=v5.8.0 TYK_SRC='$(call tyk-source,plugins/compat/v5.8.0)' plugins/build.sh >/dev/null

$(NOOP): $(call sources,plugins/noop) plugins/go.mod plugins/go.sum
	$(call building)
	@cd plugins && go build -tags goplugin -trimpath -buildmode=plugin -o ../$@ ./noop

$(TESTPLUGINS): bin/plugins/%_$(GATEWAY)_$(PLATFORM).so: $(call sources,plugins/testplugins) plugins/go.mod plugins/go.sum
	$(call building)
	@cd plugins && go build -tags goplugin -trimpath -buildmode=plugin -o ../$@ ./testplugins/$*

bin/meshpass: $(call sources,extauthz) $(SHARED)
	$(call building)
	@cd extauthz && go build -trimpath -o ../$@ ./cmd/meshpass

bin/istiod: $(call sources,e2e/istiod)
	$(call building,this takes minutes the first time)
	@cd e2e/istiod && go build -trimpath -o ../../$@ .

bin/istio-iptables: $(wildcard e2e/istiod/istio-iptables/*.go) e2e/istiod/go.mod e2e/istiod/go.sum
	$(call building)
	@cd e2e/istiod && go build -trimpath -o ../../$@ ./istio-iptables

# This is ENVOY=PATH, or an Envoy on PATH, or the pinned one, which is fetched.
bin/envoy: e2e/envoy/find.go e2e/envoy/fetch.go
	$(call building)
	@cd e2e && go run ./cmd/getenvoy ../bin
	@test ! -e $@ || touch $@ # the archive's own date is older than any source

bin/helm:
	$(call building,from its module: this takes minutes the first time)
	@GOBIN='$(CURDIR)/bin' go install -trimpath helm.sh/helm/v4/cmd/helm@v4.3.2

bin/oras:
	$(call building)
	@GOBIN='$(CURDIR)/bin' go install -trimpath oras.land/oras/cmd/oras@v1.3.6

# git-sync is in no module proxy. It has its dependencies with it.
bin/git-sync:
	$(call building,from $(or $(GIT_SYNC_SRC),GitHub))
	@work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && \
		git -c advice.detachedHead=false clone -q --depth 1 --branch v4.7.1 '$(if $(GIT_SYNC_SRC),file://$(abspath $(GIT_SYNC_SRC)),https://github.com/kubernetes/git-sync)' "$$work/source" && \
		cd "$$work/source" && go build -trimpath -o '$(CURDIR)/$@' .

SERVICES := bin/orders bin/inventory bin/reports
$(SERVICES): bin/%: $(call sources,e2e/services) $(SHARED) e2e/go.mod e2e/go.sum
	$(call building)
	@cd e2e && go build -trimpath -o ../$@ ./services/$*

RIG := $(call sources,e2e/bench e2e/checks e2e/cmd e2e/services e2e/envoy e2e/flood e2e/hbone e2e/idp e2e/localmesh e2e/pace e2e/plots e2e/repo e2e/scenarios e2e/soak) $(SHARED) e2e/go.mod e2e/go.sum \
	$(wildcard e2e/scenarios/*/*.yaml e2e/localmesh/*/*.* e2e/localmesh/topologies/*/*.* e2e/localmesh/topologies/*/*/*.* e2e/localmesh/topologies/*/*/*/*.* e2e/envoy/*.tmpl)
bin/demo bin/bench bin/sweep bin/testall bin/soak bin/flood bin/sizing bin/allowall bin/tracefeed: bin/%: $(RIG)
	$(call building)
	@cd e2e && go build -trimpath -o ../$@ ./cmd/$*

# The programs of the image that the cases run on a cluster. They use no C library, because the image has none.
IN_CLUSTER := $(addprefix bin/image/,orders inventory reports idp sender crane)

.PHONY: e2e-kind
e2e-kind: bin/e2e-kind ## Run the cases on a kind cluster [KEEP=1] [STEP=cluster|istio|images|install|charts|deploy|run|lint|topologies|clean] [ONLY=tour/] [CLUSTER_ADDONS=FILE]
	@bin/e2e-kind -check
	@$(if $(filter clean,$(STEP)),,$(MAKE) --no-print-directory bin/meshpass bin/helm bin/oras $(PLUGIN) $(IN_CLUSTER))
	@bin/e2e-kind $(if $(STEP),-step $(STEP)) $(if $(KEEP),-keep) $(if $(ONLY),-only $(ONLY))

$(filter-out %/idp %/sender %/crane,$(IN_CLUSTER)): bin/image/%: $(call sources,e2e/services) $(SHARED) e2e/go.mod e2e/go.sum
	$(call building)
	@cd e2e && CGO_ENABLED=0 go build -trimpath -o ../$@ ./services/$*

# crane has a registry.
bin/image/crane:
	$(call building)
	@CGO_ENABLED=0 GOBIN='$(CURDIR)/$(@D)' go install -trimpath github.com/google/go-containerregistry/cmd/crane@v0.22.1

CLUSTER := $(call sources,e2e/kind) $(wildcard e2e/kind/*.yaml e2e/kind/*/*.yaml)
bin/image/idp bin/image/sender: bin/image/%: $(CLUSTER) $(RIG)
	$(call building)
	@cd e2e && CGO_ENABLED=0 go build -trimpath -o ../$@ ./cmd/$*

bin/e2e-kind: $(CLUSTER) $(RIG)
	$(call building)
	@cd e2e && go build -trimpath -o ../$@ ./cmd/e2ekind
