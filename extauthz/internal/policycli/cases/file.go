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

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/policy"
)

// Kind heads a file of cases, beside the documents' apiVersion.
const Kind = "PolicyTest"

type caseFile struct {
	APIVersion string                `yaml:"apiVersion"`
	Kind       string                `yaml:"kind"`
	Users      map[string]claimsSpec `yaml:"users"`
	Defaults   caseDefaults          `yaml:"defaults"`
	Cases      []caseSpec            `yaml:"cases"`
}

// caseDefaults stand for what a case does not say.
type caseDefaults struct {
	Caller  string      `yaml:"caller"`
	Callee  string      `yaml:"callee"`
	Request requestSpec `yaml:"request"`
}

type caseSpec struct {
	Name    string      `yaml:"name"`
	User    string      `yaml:"user"`    // one of users
	Claims  *claimsSpec `yaml:"claims"`  // or the token's claims
	Token   string      `yaml:"token"`   // or why there are none: token_missing, token_expired, …
	Caller  string      `yaml:"caller"`  // ns/…/sa/…, spiffe://…; none: nobody can have a name; unknown
	Callee  string      `yaml:"callee"`  // as in targets
	Now     string      `yaml:"now"`     // RFC 3339; else 2026-06-01T12:00:00Z
	Request requestSpec `yaml:"request"` // field by field over the defaults
	Expect  expectSpec  `yaml:"expect"`
}

type requestSpec struct {
	Method  string            `yaml:"method"`
	Path    string            `yaml:"path"`
	Host    string            `yaml:"host"`
	Port    uint32            `yaml:"port"`
	Headers map[string]string `yaml:"headers"` // lower-case names
}

type expectSpec struct {
	Decision string   `yaml:"decision"` // allow or deny
	Reason   string   `yaml:"reason"`
	Rule     string   `yaml:"rule"`   // DOCUMENT/RULE, or FOLDER/DOCUMENT/RULE
	Shadow   []string `yaml:"shadow"` // as in the audit record: "deny rule_denied orders/no-batch"
}

// ErrNone says that there is nothing to test.
var ErrNoCases = errors.New("no case in files *_test.yaml or *.test.yaml: docs/policy-tools.md shows how to write one")

// ReadFolder gives the cases of all files of cases below the folder, in the order of
// files and lines. All that is wrong in any of them comes back together.
func ReadFolder(dir policy.Dir, loader policy.Loader) ([]Case, strictyaml.Problems) {
	var all []Case
	var problems strictyaml.Problems
	err := readfile.Walk(dir.Files, isCaseFile, func(e readfile.Entry) {
		if e.Folder {
			return // the documents' reader says so
		}
		full := dir.FilePath(e.Name)
		var data []byte
		if e.Err == nil {
			data, e.Err = readfile.ReadFS(dir.Files, e.Name, policy.MaxFileBytes)
		}
		if e.Err != nil {
			problems = append(problems, strictyaml.Problem{File: full, Message: e.Err.Error()})
			return
		}
		found, wrong := parseFile(data, loader)
		for i := range found {
			found[i].File = full
		}
		all, problems = append(all, found...), append(problems, wrong.In(full)...)
	})
	if err != nil {
		problems = append(problems, strictyaml.Problem{File: dir.FilePath(""), Message: err.Error()})
	}
	return all, problems
}

func isCaseFile(name string) bool {
	return policy.IsRead(name) && policy.IsCases(name)
}
