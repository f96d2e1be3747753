#!/bin/sh
# A post-renderer of Helm: reads the chart's output, adds the init container to Tyk's gateway, and prints the result.
#   Helm 3: helm upgrade … --post-renderer manifests/tyk-oss/post-renderer/post-render.sh
#   Helm 4: helm plugin install manifests/tyk-oss/post-renderer; helm upgrade … --post-renderer meshpass-tyk-plugin
# It needs kubectl, or KUSTOMIZE="kustomize build".
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/rendered.yaml"
cp "$here/init-container.yaml" "$dir/"
cat >"$dir/kustomization.yaml" <<'END'
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [rendered.yaml]
patches:
  - path: init-container.yaml
    target: {group: apps, kind: Deployment|DaemonSet|StatefulSet, name: gateway-.*}
END
${KUSTOMIZE:-kubectl kustomize} "$dir" >"$dir/result.yaml"
# A chart that has changed must not be installed without the plugin.
grep -q 'name: meshpass-plugin$' "$dir/result.yaml" && grep -q 'args:' "$dir/result.yaml" && grep -q -- '- unpack' "$dir/result.yaml" || {
	echo "post-render.sh: no Deployment, DaemonSet or StatefulSet gateway-… was found: the plugin was not added" >&2
	exit 1
}
cat "$dir/result.yaml"
