# Every program is built in the folder of its own module and lands in bin/.
# Only images and e2e-kind need Docker, and nothing needs root.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

TYK_VERSION := v5.8.1
PLATFORM    := linux_$(shell go env GOARCH)
PLUGIN      := bin/plugins/identity_$(TYK_VERSION)_$(PLATFORM).so
NOOP        := bin/plugins/noop_$(TYK_VERSION)_$(PLATFORM).so
TESTPLUGINS := $(foreach name,loadpanic callpanic,bin/plugins/$(name)_$(TYK_VERSION)_$(PLATFORM).so)
E2E         := bin/orders bin/inventory bin/reports bin/demo bin/bench bin/testall
MODULES     := . plugins extauthz e2e e2e/istiod

# Sources without tests: a changed test builds nothing anew.
sources = $(shell find $(1) -name '*.go' -not -name '*_test.go') $(wildcard $(addsuffix /go.mod,$(1)) $(addsuffix /go.sum,$(1)))
SHARED := $(call sources,shared) go.mod go.sum

# building,NOTE: says what is built, before it is built.
define building
	@echo "building $@$(if $(1), ($(1)))"
	@mkdir -p $(@D)
endef

.PHONY: help
help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: bin/tyk bin/tyk-templates $(PLUGIN) bin/meshpass bin/envoy $(E2E) ## Build everything but Istio's control plane

.PHONY: plugin
plugin: $(PLUGIN) ## Build the Tyk plugin and have the gateway load it

.PHONY: istiod
istiod: bin/istiod ## Build Istio's control plane (minutes, the first time)

.PHONY: demo
demo: build $(if $(ISTIOD),bin/istiod) ## Play the tour on loopback [KEEP=1] [ISTIOD=1] [REDIS_ADDR=HOST:PORT]
	@bin/demo $(if $(KEEP),-keep) $(if $(ISTIOD),-istiod) $(if $(REDIS_ADDR),-redis $(REDIS_ADDR))

.PHONY: test-programs
test-programs: build bin/istiod $(NOOP) $(TESTPLUGINS)

.PHONY: test
test: test-programs ## Run all tests of all modules [ONLY=shared,e2e] [OLDEST=go1.23.12]
	@bin/testall $(if $(ONLY),-only $(ONLY)) $(if $(OLDEST),-oldest $(OLDEST))

.PHONY: bench
bench: build $(NOOP) ## Measure Tyk with and without the plugin, and Checks per second
	@bin/bench
	cd extauthz && go test -run '^$$' -bench . ./...

.PHONY: images
images: ## Build the two images, with Docker
	docker build -f Dockerfile.authz --build-arg REVISION=$$(git rev-parse HEAD) -t meshpass/authz:dev .
	docker build -f Dockerfile.plugin --build-arg REVISION=$$(git rev-parse HEAD) --build-arg TYK_VERSION=$(TYK_VERSION) -t meshpass/tyk-plugin:dev .

.PHONY: manifests-check
manifests-check: bin/istiod ## Build every overlay and judge each object as a cluster would
	@bin/istiod validate --mesh manifests/istio/install.yaml --dir manifests

.PHONY: dump
dump: bin/istiod ## Renew the checked-in dump of istiod's output
	cd e2e && go test ./localmesh/dump -count=1 -update

GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# -trimpath finds again what the builds have compiled, and golangci-lint takes minutes to load Istio.
.PHONY: lint
lint: export GOFLAGS += -trimpath
lint: ## gofmt, go vet, tidy modules, golangci-lint
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo "run gofmt -w on these"; exit 1; }
	@failed=0; for module in $(MODULES); do \
		echo "lint $$module"; \
		(cd $$module && go mod tidy -diff && go vet -tags goplugin ./... && \
			{ [ $$module = e2e/istiod ] || go run $(GOLANGCI) run --build-tags goplugin; }) || failed=1; \
	done; exit $$failed

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin

# The gateway reads its version from a variable; without it, it would look for plugins of another one.
bin/tyk: plugins/tools.go plugins/go.mod plugins/go.sum
	$(call building,the gateway: this takes minutes the first time)
	@cd plugins && go build -tags goplugin -trimpath \
		-ldflags "-X github.com/TykTechnologies/tyk/internal/build.Version=$(TYK_VERSION)" \
		-o ../$@ github.com/TykTechnologies/tyk

# The gateway's own error pages, from its module.
bin/tyk-templates: plugins/go.mod
	$(call building)
	@rm -rf $@ && cp -r "$$(cd plugins && go list -m -f '{{.Dir}}' github.com/TykTechnologies/tyk)/templates" $@ && chmod -R u+w $@ && find $@ -name "*.go" -delete && touch $@

$(PLUGIN): $(call sources,plugins/identity) $(SHARED) plugins/go.mod plugins/go.sum | bin/tyk
	$(call building)
	@cd plugins && go build -tags goplugin -trimpath -buildmode=plugin -o ../$@ ./identity
	@for symbol in StripIdentity SignIdentity; do \
		said=$$(bin/tyk plugin load -f $@ -s $$symbol 2>&1) || { echo "$$said"; exit 1; }; \
	done

$(NOOP): $(call sources,plugins/noop) plugins/go.mod plugins/go.sum
	$(call building)
	@cd plugins && go build -tags goplugin -trimpath -buildmode=plugin -o ../$@ ./noop

$(TESTPLUGINS): bin/plugins/%_$(TYK_VERSION)_$(PLATFORM).so: $(call sources,plugins/testplugins) plugins/go.mod plugins/go.sum
	$(call building)
	@cd plugins && go build -tags goplugin -trimpath -buildmode=plugin -o ../$@ ./testplugins/$*

bin/meshpass: $(call sources,extauthz) $(SHARED)
	$(call building)
	@cd extauthz && go build -trimpath -o ../$@ ./cmd/meshpass

bin/istiod: $(call sources,e2e/istiod)
	$(call building,this takes minutes the first time)
	@cd e2e/istiod && go build -trimpath -o ../../$@ .

# ENVOY=PATH, or one on PATH, or the pinned one is fetched.
bin/envoy: e2e/envoy/find.go e2e/envoy/fetch.go
	$(call building)
	@cd e2e && go run ./cmd/getenvoy ../bin
	@test ! -e $@ || touch $@ # the archive's own date is older than any source

SERVICES := bin/orders bin/inventory bin/reports
$(SERVICES): bin/%: $(call sources,e2e/services) $(SHARED) e2e/go.mod e2e/go.sum
	$(call building)
	@cd e2e && go build -trimpath -o ../$@ ./services/$*

RIG := $(call sources,e2e/cmd e2e/services e2e/envoy e2e/idp e2e/localmesh e2e/process e2e/repo e2e/scenarios e2e/subnet) $(SHARED) e2e/go.mod e2e/go.sum \
	$(wildcard e2e/scenarios/*/*.yaml e2e/localmesh/*/*.* e2e/envoy/*.tmpl)
bin/demo bin/bench bin/testall: bin/%: $(RIG)
	$(call building)
	@cd e2e && go build -trimpath -o ../$@ ./cmd/$*
