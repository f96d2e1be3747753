package scenarios_test

import (
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

func TestShippedCasesLoad(t *testing.T) {
	folders, err := filepath.Glob("*/*.yaml")
	if err != nil || len(folders) == 0 {
		t.Fatal("no cases", err)
	}
	for i := range folders {
		folders[i] = filepath.Dir(folders[i])
	}
	for _, folder := range slices.Compact(folders) {
		if _, err := scenarios.LoadShipped(folder); err != nil {
			t.Errorf("%s: %v", folder, err)
		}
	}
}

func TestLoadReportsEveryMistake(t *testing.T) {
	const bad = `title: Mistakes
steps:
  - send: {path: tenants}
    expect: {audit: [{reson: no_rule}]}
  - send: {to: gateway, path: /, as: alice}
    expect: {status: 200, closed: true}
`
	want := `tour/bad.yaml:3:11: send.to is missing: gateway or a service
tour/bad.yaml:3:18: send.path must begin with /
tour/bad.yaml:4:13: expect either a status or closed: true
tour/bad.yaml:4:30: audit records have no field "reson"; they have: kind, txn, request_id, listener, caller, callee, method, path, host, sub, iss, decision, reason, policy, rule, mode, shadow
tour/bad.yaml:6:13: expect either a status or closed: true
tour/typo.yaml:1:1: unknown key "titel" (did you mean "title"?); known here: about, steps, title`
	_, err := scenarios.LoadFolder(fstest.MapFS{
		"tour/bad.yaml":  {Data: []byte(bad)},
		"tour/typo.yaml": {Data: []byte("titel: x\n")},
	}, "tour")
	if err == nil {
		t.Fatal("loaded")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLoadRefusesAnEmptyFolder(t *testing.T) {
	if _, err := scenarios.LoadFolder(fstest.MapFS{}, "tour"); err == nil {
		t.Error("a folder without cases would pass without having tested anything")
	}
}
