package gateway_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/repo"
)

// definition is an API: our shipped one with API keys, or the canary, and what differs from it. It is reached at
// /ID/, and goes to the upstream.
type definition struct {
	id    string
	json  string // what differs; SELF is the id, null takes a member away
	alone bool   // without our plugin
}

// canary is an API that every gateway has, to see that APIs are served.
const canary = "canary"

// writeAPIs writes the definitions, and the policies "all" and "adding" that let a key or user call each of them.
func (r *rig) writeAPIs(t *testing.T, apis []definition) {
	t.Helper()
	root, err := repo.Root()
	must(t, err)
	must(t, os.Mkdir(r.path("apis"), 0o700))
	rights := map[string]any{}
	for _, d := range apis {
		api := readJSON(t, filepath.Join(root, "manifests", "tyk", "apis", shipped(d.id)))
		merge(api, parse(t, r.fill(`{"api_id": "SELF", "name": "SELF", "proxy": {"listen_path": "/SELF/", "target_url": "UPSTREAM"}}`), d.id))
		if d.alone {
			delete(api, "custom_middleware")
		}
		merge(api, parse(t, r.fill(d.json), d.id))
		r.writeJSON(t, filepath.Join("apis", d.id+".json"), api)
		rights[d.id] = map[string]any{"api_id": d.id, "api_name": d.id, "versions": []string{"Default", "v1", "v2"}}
	}
	policies := map[string]any{}
	for id, metadata := range map[string]any{"all": nil, adding: map[string]string{"developer_id": "root", "tenant": "evil"},
		numbering: map[string]any{"tenant": json.Number("9007199254740993")}} {
		policies[id] = map[string]any{"id": id, "name": id, "org_id": "demo", "active": true, "state": "active",
			"rate": 1000, "per": 1, "quota_max": -1, "access_rights": rights, "meta_data": metadata}
	}
	r.writeJSON(t, "policies.json", policies)
}

// shipped is the definition of ours that an API starts from.
func shipped(id string) string {
	if id == probed {
		return "canary.json"
	}
	return "orders-key.json"
}

// adding is a policy that writes into the metadata of each session that has it.
const adding = "adding"

// numbering is a policy that writes a number there which a double cannot hold.
const numbering = "numbering"

// merge lays one JSON object over another: objects member by member, null takes a member away.
func merge(base, over map[string]any) {
	for name, value := range over {
		object, isObject := value.(map[string]any)
		below, hasObject := base[name].(map[string]any)
		switch {
		case value == nil:
			delete(base, name)
		case isObject && hasObject:
			merge(below, object)
		default:
			base[name] = value
		}
	}
}

func parse(t *testing.T, text string, self ...string) map[string]any {
	t.Helper()
	text = strings.ReplaceAll(text, "SELF", strings.Join(self, ""))
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return object
}

func readJSON(t *testing.T, file string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	return parse(t, string(data))
}
