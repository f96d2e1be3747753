// Package cases is `meshpass policy test`: it decides requests that stand in YAML
// files beside the policies, and compares the answers with what they expect.
//
//	apiVersion: meshpass.dev/v1
//	kind: PolicyTest
//	users:
//	  alice: {sub: okta:alice, scope: orders.read, tctx: {tenant: acme}}
//	defaults: {caller: ns/edge/sa/tyk-gateway, callee: ns/shop/sa/orders}
//	cases:
//	  - name: alice reads an order of her tenant
//	    user: alice
//	    request: {method: GET, path: /tenants/acme/orders/1}
//	    expect: {decision: allow, reason: rule_allowed, rule: orders/read-own-tenant}
//
// A case without user, claims or token comes without a token. What expect does
// not name is not compared.
package cases

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/strictyaml"
)

// Kind heads a file of cases, beside the documents' apiVersion.
const Kind = "PolicyTest"

type file struct {
	APIVersion string            `yaml:"apiVersion"`
	Kind       string            `yaml:"kind"`
	Users      map[string]claims `yaml:"users"`
	Defaults   defaults          `yaml:"defaults"`
	Cases      []spec            `yaml:"cases"`
}

// defaults stand for what a case does not say.
type defaults struct {
	Caller  string  `yaml:"caller"`
	Callee  string  `yaml:"callee"`
	Request request `yaml:"request"`
}

type spec struct {
	Name    string  `yaml:"name"`
	User    string  `yaml:"user"`    // one of users
	Claims  *claims `yaml:"claims"`  // or the token's claims
	Token   string  `yaml:"token"`   // or why there are none: token_missing, token_expired, …
	Caller  string  `yaml:"caller"`  // ns/…/sa/…, spiffe://…; none: nobody can have a name; unknown
	Callee  string  `yaml:"callee"`  // as in targets
	Now     string  `yaml:"now"`     // RFC 3339; else 2026-06-01T12:00:00Z
	Request request `yaml:"request"` // field by field over the defaults
	Expect  expect  `yaml:"expect"`
}

type request struct {
	Method  string            `yaml:"method"`
	Path    string            `yaml:"path"`
	Host    string            `yaml:"host"`
	Port    uint32            `yaml:"port"`
	Headers map[string]string `yaml:"headers"` // lower-case names
}

type expect struct {
	Decision string   `yaml:"decision"` // allow or deny
	Reason   string   `yaml:"reason"`
	Rule     string   `yaml:"rule"`   // DOCUMENT/RULE
	Shadow   []string `yaml:"shadow"` // as in the audit record: "deny rule_denied orders/no-batch"
}

// ErrNone says that there is nothing to test.
var ErrNone = errors.New("no case in files *_test.yaml or *.test.yaml: docs/policy-tools.md shows how to write one")

// Read gives the cases of all files of cases below the folder, in the order of
// files and lines. All that is wrong in any of them comes back together.
func Read(dir policy.Dir, loader policy.Loader) ([]Case, strictyaml.Problems) {
	var all []Case
	var problems strictyaml.Problems
	err := fs.WalkDir(dir.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir() || !isFile(name):
			return nil
		}
		data, err := fs.ReadFile(dir.Files, name)
		if err != nil {
			return err
		}
		found, wrong := parse(data, loader)
		full := path.Join(dir.Name, name)
		for i := range found {
			found[i].File = full
		}
		all, problems = append(all, found...), append(problems, wrong.In(full)...)
		return nil
	})
	if err != nil {
		problems = append(problems, strictyaml.Problem{File: dir.Name, Message: err.Error()})
	}
	return all, problems
}

func isFile(name string) bool {
	return slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(path.Ext(name))) && policy.IsCases(name)
}
