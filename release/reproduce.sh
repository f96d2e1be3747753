#!/usr/bin/env bash
# Makes the release of the commit that is checked out twice, in two folders, and compares every byte.
#
#   release/reproduce.sh              both builds use the build cache of this user
#   FRESH=1 release/reproduce.sh      the second one compiles everything again, which takes about 15 minutes on two cores
#
# It needs bin/tyk (make bin/tyk). Exit code: 0 all files are equal, 1 some differ, 2 it could not be tried.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cannot() { echo "release/reproduce.sh: $*" >&2; exit 2; }
[ -x "$root/bin/tyk" ] || cannot "bin/tyk is not built: run make bin/tyk"

work=$(mktemp -d "${TMPDIR:-/tmp}/meshpass-release-XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
openssl ecparam -name prime256v1 -genkey -noout -out "$work/key.pem" 2>/dev/null || cannot "openssl makes no key"
openssl genrsa -traditional -out "$work/bundle.pem" 2048 2>/dev/null || cannot "openssl makes no RSA key"

commit=$(git -C "$root" rev-parse HEAD) # work may go on here

build() { # FOLDER
	git clone -q "$root" "$1" && git -C "$1" checkout -q --detach "$commit" || cannot "the repository cannot be cloned"
	mkdir -p "$1/bin" && ln -s "$root/bin/tyk" "$1/bin/tyk"
	make -s -C "$1" -o bin/tyk release VERSION=v0.0.0-reproduce KEY="$work/key.pem" BUNDLE_KEY="$work/bundle.pem" ||
		cannot "the release cannot be made, see above"
}
build "$work/first"
[ -z "${FRESH:-}" ] || export GOCACHE=$work/cache
build "$work/a longer folder/second"
if ! diff -r "$work/first/dist" "$work/a longer folder/second/dist"; then
	echo "the two releases differ, see above" >&2
	exit 1
fi
(cd "$work/first/dist" && sha256sum -c --quiet SHA256SUMS)
echo "equal: $(ls "$work/first/dist" | wc -l) files, $(du -sh "$work/first/dist" | cut -f1)"
