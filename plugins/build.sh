#!/usr/bin/env bash
# Builds the plugin for one Tyk release and has a gateway of that release load it.
#
#   plugins/build.sh                  for the gateway of this repository's module, bin/tyk
#   TYK_SRC=DIR plugins/build.sh      for the release whose source is in DIR
#
# A gateway loads a plugin only if both have the same version of each package that both contain, built by
# the same Go. So with TYK_SRC this does the same as Tyk's own plugin compiler: it builds in a workspace of
# the gateway's source and a module that requires only our root, where the gateway's versions win. The
# workspace is a temporary folder; nothing is written into DIR.
#
#   TYK_SRC       a checkout of a Tyk release, at its tag
#   TYK_VERSION   the release, like v5.8.1, if the source has no tag (a source archive)
#   TYK_BIN       a gateway of that release; absent: a gateway is built from the source and kept
#   REVISION      the label revision of the metric meshpass_build_info; absent: the commit that is checked out
#   VERSION, DATE its labels version and date; absent: unknown
#   OUT           folder of the plugin; absent: plugins/ beside the gateway that make or this script has built
#
# Standard output has two lines, "built FILE …" and "loaded FILE …"; progress is on standard error.
# Exit code: 0 built and loaded, 1 the gateway cannot load it, 2 it could not be tried.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
log() { echo "$*" >&2; }
cannot() { log "plugins/build.sh: $*"; exit 2; }
incompatible() { log "plugins/build.sh: $*"; exit 1; }

export CGO_ENABLED=1 # Go has no plugins without it
export GOWORK=off    # a go.work of the user would change versions
flags=(-mod=readonly -buildvcs=false -trimpath -tags goplugin)

check_tools() {
	command -v go >/dev/null || cannot "no go on PATH: install Go"
	go_version=$(go env GOVERSION) || cannot "go does not run, see above"
	platform=$(go env GOOS)_$(go env GOARCH)
	[ "$platform" = "$(go env GOHOSTOS)_$(go env GOHOSTARCH)" ] ||
		cannot "a plugin for $platform cannot be loaded here, so the build could not be checked: build it on such a machine"
	command -v "$(go env CC)" >/dev/null || cannot "no C compiler ($(go env CC)): install one, or set CC"
}

# check_source sets src and version.
check_source() {
	[ -d "$TYK_SRC" ] || cannot "TYK_SRC=$TYK_SRC: no such folder"
	src=$(cd "$TYK_SRC" && pwd)
	grep -qsx 'module github.com/TykTechnologies/tyk' "$src/go.mod" ||
		cannot "TYK_SRC=$TYK_SRC: not the source of Tyk's gateway, by its go.mod"
	version=${TYK_VERSION:-$(tag_of "$src")}
	[ -n "$version" ] || cannot "TYK_SRC=$TYK_SRC: no tag is checked out there: check one out, or set TYK_VERSION=vX.Y.Z"
}

# tag_of prints nothing if the folder is not itself a checkout: the tags of a repository around it are not Tyk's.
tag_of() {
	[ "$(git -C "$1" rev-parse --show-toplevel 2>/dev/null)" = "$(cd "$1" && pwd -P)" ] || return 0
	git -C "$1" describe --tags --exact-match 2>/dev/null || true
}

check_version() {
	[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || cannot "version $version: write it like v5.8.1 (TYK_VERSION)"
	name=identity_${version%%-*}_$platform.so # the gateway looks for its version without suffixes
}

# check_gateway FILE finds faults that Go would report only after the build, and then with the name of an
# internal package at most.
check_gateway() {
	local settings
	[ -f "$1" ] && [ -x "$1" ] || cannot "$1: no such program"
	settings=$(go version -m "$1" 2>/dev/null) || cannot "$1: not a program built by Go"
	local theirs=${settings%%$'\n'*}
	theirs=${theirs##*: }
	[ "$theirs" = "$go_version" ] ||
		incompatible "$1 was built with $theirs, this Go is $go_version: a plugin must be built with the gateway's Go (GOTOOLCHAIN=${theirs%% *} fetches it)"
	grep -q -- '-tags=.*goplugin' <<<"$settings" || incompatible "$1 was built without the tag goplugin: it cannot load Go plugins"
	grep -q -- '-trimpath=true' <<<"$settings" || incompatible "$1 was built without -trimpath: it cannot load plugins that were built with it"
}

# make_workspace sets plugin, the folder of a module with our packages only. The paths in its go.mod are
# part of the plugin's build information; because of the copies they are the same on every machine.
make_workspace() {
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	plugin=$work/plugin
	mkdir "$plugin" "$work/root"
	cp -r "$root/plugins/identity" "$plugin/"
	cp -r "$root/go.mod" "$root/go.sum" "$root/shared" "$root/internal" "$work/root/"
	cat >"$plugin/go.mod" <<-END
		module github.com/meshpass/meshpass/plugins

		$(grep '^go ' "$root/go.mod")

		require github.com/meshpass/meshpass v0.0.0

		replace github.com/meshpass/meshpass => ../root
	END
	cp "$root/go.sum" "$plugin/go.sum" # a replaced module's own go.sum is not read
	(cd "$work" && GOWORK='' go work init "$plugin" "$src" 2>"$work/log") || { cat "$work/log" >&2; cannot "no workspace with this source, see above"; }
}

compare_modules() {
	local code=0
	log "comparing the plugin's modules with $version's go.mod"
	(cd "$root/plugins" && go build -o "$work/compat" ./compat) || cannot "plugins/compat does not build, see above"
	(cd "$plugin" && GOWORK=$work/go.work "$work/compat" modules -tyk "$src" ./identity) || code=$?
	[ $code -ne 1 ] || incompatible "$version cannot load this plugin, see above: the versions in our go.mod must not exceed the gateway's"
	[ $code -eq 0 ] || cannot "the modules of $version cannot be listed, see above"
}

# gateway_of_source sets gateway: built from this source with its own go.mod, as Tyk does. Go builds it
# again only if something has changed.
gateway_of_source() {
	gateway=$root/bin/gateways/$version/tyk
	log "building the gateway $version with $go_version (this takes minutes the first time)"
	mkdir -p "${gateway%/*}"
	(cd "$src" && go build "${flags[@]}" -ldflags "-X github.com/TykTechnologies/tyk/internal/build.Version=$version" -o "$gateway" .) ||
		cannot "the gateway $version does not build, see above"
}

# revision prints the name of the build for the metrics: REVISION, or the commit, with -changed if files were
# changed since.
revision() {
	local commit
	commit=${REVISION:-$(git -C "$root" rev-parse HEAD 2>/dev/null)} || commit=unknown
	[ -n "${REVISION:-}" ] || git -C "$root" diff --quiet HEAD 2>/dev/null || commit+=-changed
	echo "$commit"
}

# stamp prints the flags that write the build's names into internal/buildinfo.
stamp() {
	local into=github.com/meshpass/meshpass/internal/buildinfo
	echo "-X $into.tykRelease=${version%%-*} -X $into.revision=$(revision) -X $into.version=${VERSION:-} -X $into.date=${DATE:-}"
}

# build DIR builds the plugin under a name that no gateway looks for, until it has been loaded.
build() {
	mkdir -p "$out" && [ -w "$out" ] || cannot "OUT=$out cannot be written to"
	out=$(cd "$out" && pwd)
	log "building $name with $go_version"
	(cd "$1" && go build "${flags[@]}" -ldflags "$(stamp)" -buildmode=plugin -o "$out/$name.new" ./identity) || cannot "the plugin does not build, see above"
	echo "built $name with $go_version"
}

load() {
	local symbol output
	for symbol in StripIdentity SignIdentity GuardUpstream Canary; do
		output=$("$gateway" plugin load -f "$out/$name.new" -s $symbol 2>&1) || {
			rm -f "$out/$name.new"
			log "$output"
			incompatible "$gateway does not load the plugin, see above"
		}
	done
	mv "$out/$name.new" "$out/$name"
	echo "loaded $out/$name by $gateway"
}

[ $# -eq 0 ] || cannot "takes no arguments but the variables TYK_SRC, TYK_VERSION, TYK_BIN and OUT"
check_tools
if [ -z "${TYK_SRC:-}" ]; then
	gateway=${TYK_BIN:-$root/bin/tyk}
	[ -e "$gateway" ] || cannot "$gateway does not exist: run make plugin, which builds it"
	check_gateway "$gateway"
	version=$("$gateway" --version 2>&1)
	check_version
	[ "${TYK_VERSION:-$version}" = "$version" ] || cannot "$gateway is $version: for $TYK_VERSION, set TYK_SRC to its source"
	out=${OUT:-$root/bin/plugins}
	build "$root/plugins"
else
	check_source
	check_version
	out=${OUT:-$root/bin/gateways/$version/plugins}
	gateway=${TYK_BIN:-}
	[ -z "$gateway" ] || check_gateway "$gateway"
	make_workspace
	compare_modules
	[ -n "$gateway" ] || gateway_of_source
	GOWORK=$work/go.work build "$plugin"
fi
load
