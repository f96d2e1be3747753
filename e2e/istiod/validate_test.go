package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/istiod/kustomize"
	"github.com/meshpass/meshpass/e2e/istiod/schema"
	"sigs.k8s.io/yaml"
)

const shipped = "../../manifests"

func TestShippedManifestsAreFine(t *testing.T) {
	var out strings.Builder
	s := source{mesh: filepath.Join(shipped, "istio", "install.yaml"), dirs: []string{shipped}}
	if err := validate(t.Context(), s, &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}

const (
	deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      containers: [{name: c, image: i}]
`
	custom = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\nspec: "
)

func TestFaultsAreFound(t *testing.T) {
	schemas, err := schema.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct{ object, want string }{
		"fine":                   {deployment, ""},
		"quantities":             {strings.Replace(deployment, "image: i", "image: i, resources: {limits: {cpu: 1, memory: 1Gi}}", 1), ""},
		"unknown field":          {deployment + "      containrs: []", "o.yaml: Deployment d: unknown fields [spec.template.spec.containrs]"},
		"unknown label field":    {strings.Replace(deployment, "metadata: {", "metadata: {label: {}, ", 1), `o.yaml: Deployment d: strict decoding error: unknown field "metadata.label"`},
		"wrong type":             {deployment + "  replicas: two", `o.yaml: Deployment d: spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"`},
		"missing":                {"apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\nspec: 1", `o.yaml: PodDisruptionBudget b: spec: Invalid value: "integer": spec in body must be of type object: "integer"`},
		"required":               {strings.Replace(deployment, "name: c, ", "", 1), "o.yaml: Deployment d: spec.template.spec.containers[0].name: Required value"},
		"unknown kind":           {"apiVersion: policy/v1\nkind: Budget\nmetadata: {name: b}", "o.yaml: Budget b: Kubernetes " + schema.Kubernetes + " has no kind policy/v1, Kind=Budget"},
		"unknown group":          {"apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: a}", "o.yaml: AccessPolicy a: neither Kubernetes " + schema.Kubernetes + " nor Gateway API nor Istio has the kind meshpass.dev/v1, Kind=AccessPolicy"},
		"unknown field of Istio": {custom + "{action: CUSTOM, provider: {name: meshpass}, rules: [{}], rule: []}", "o.yaml: AuthorizationPolicy p: unknown fields [spec.rule]"},
		"wrong value for Istio":  {custom + "{action: REFUSE}", `o.yaml: AuthorizationPolicy p: spec.action: Unsupported value: "REFUSE": supported values: "ALLOW", "DENY", "AUDIT", "CUSTOM"`},
		"refused by the webhook": {custom + "{action: CUSTOM, rules: [{}]}", "o.yaml: AuthorizationPolicy p: invalid policy p.default: `provider.name` must not be empty"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			write(t, dir, "kustomization.yaml", "resources: [o.yaml]\n")
			write(t, dir, "o.yaml", row.object)
			if got := strings.Join(judge(schemas, ".").problems, "\n"); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestReport(t *testing.T) {
	var out strings.Builder
	err := report(&out, []overlay{
		{dir: "base", kubernetes: 12, problems: []string{"o.yaml: wrong"}},
		{dir: "overlays/dev", kubernetes: 20, istio: 3, problems: []string{"o.yaml: wrong", "n.yaml: bad"}},
	})
	const want = `overlay       Kubernetes  Istio  problems
base                  12      0         1
overlays/dev          20      3         2
n.yaml: bad
o.yaml: wrong
`
	if out.String() != want || !errors.Is(err, errFound) || !strings.HasSuffix(err.Error(), ": 2 to fix") {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestAnOverlayThatCannotBeBuiltIsAFault(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "kustomization.yaml", "resources: [missing.yaml]\n")
	if got := judge(nil, dir).problems; len(got) != 1 || !strings.Contains(got[0], "missing.yaml") {
		t.Errorf("got %q", got)
	}
}

// A file that its kustomization does not list is never applied.
func TestEveryFileIsListed(t *testing.T) {
	for configMap, pattern := range map[string]string{
		"tyk-apis":          "tyk/apis/*.json",
		"meshpass-policies": "policies/*.yaml",
	} {
		files, err := filepath.Glob(filepath.Join(shipped, filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		keys := generated(t, filepath.Join(shipped, strings.SplitN(pattern, "/", 2)[0]), configMap)
		for _, file := range files {
			// The cases beside the policies are for people, not for the authorizer.
			if !strings.HasSuffix(file, "_test.yaml") && !slices.Contains(keys, filepath.Base(file)) {
				t.Errorf("ConfigMap %s lacks %s: add it to the kustomization", configMap, file)
			}
		}
	}
}

// generated has the keys of a ConfigMap that an overlay generates.
func generated(t *testing.T, dir, name string) (keys []string) {
	t.Helper()
	objects, err := kustomize.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		var m struct {
			Kind     string
			Metadata struct{ Name string }
			Data     map[string]string
		}
		if err := yaml.Unmarshal(o.YAML, &m); err != nil {
			t.Fatal(err)
		}
		if m.Kind == "ConfigMap" && strings.HasPrefix(m.Metadata.Name, name) {
			for key := range m.Data {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

func TestFindRefusesAFolderWithout(t *testing.T) {
	if _, err := kustomize.Find(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no folder with a kustomization.yaml") {
		t.Errorf("got %v", err)
	}
	if _, err := kustomize.Find(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
