#!/bin/bash
# Builds the other ext_authz servers that `make bench PEERS=1` measures, into bin/peers. Each has a module of its own, so that
# their dependencies are in none of ours. One that cannot be built is named, and the benchmark lists it as NOT RUN.
set -euo pipefail
cd "$(dirname "$0")/../.."
out="$PWD/bin/peers"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$out"

# build NAME MODULE VERSION PACKAGE
build() {
  [ -x "$out/$1" ] && return
  echo "building bin/peers/$1 ($2 $3)"
  mkdir "$scratch/$1"
  (cd "$scratch/$1" && go mod init "bench.invalid/$1" && go get "$2@$3" && go build -trimpath -o "$out/$1" "$4") >"$scratch/log" 2>&1 ||
    { echo "$1 could not be built:"; tail -5 "$scratch/log"; }
}

build heimdall github.com/dadrus/heimdall v0.17.18 github.com/dadrus/heimdall
build opa-envoy-plugin github.com/open-policy-agent/opa-envoy-plugin v1.19.1-envoy github.com/open-policy-agent/opa-envoy-plugin/cmd/opa-envoy-plugin
