package policy_test

import (
	"slices"
	"sort"
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	policypath "github.com/meshpass/meshpass/shared/policy/path"
)

// A second evaluator, written from docs/policy.md, as slow as it is simple. It evaluates
// every rule of every document, its paths are regular expressions, and it shares only the
// names of reasons and the check of paths with the engine. random_test.go compares its
// decisions on random documents and requests with those of the engine.

type nDocument struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       nSpec             `json:"spec"`
	guardrail  bool
}

type nSpec struct {
	Targets  map[string][]string `json:"targets"`
	Mode     string              `json:"mode,omitempty"`
	Identity string              `json:"identity,omitempty"`
	OnOutage string              `json:"onOutage,omitempty"`
	Public   []nTo               `json:"public,omitempty"`
	Rules    []nRule             `json:"rules,omitempty"`
}

type nRule struct {
	Name   string           `json:"name"`
	Effect string           `json:"effect"`
	Mode   string           `json:"mode,omitempty"`
	From   *nFrom           `json:"from,omitempty"`
	To     *nTo             `json:"to,omitempty"`
	Scopes []string         `json:"scopes,omitempty"`
	Claims map[string][]any `json:"claims,omitempty"`
	When   string           `json:"when,omitempty"`
}

type nFrom struct {
	Workloads   []string `json:"workloads,omitempty"`
	Issuers     []string `json:"issuers,omitempty"`
	NoPrincipal bool     `json:"noPrincipal,omitempty"`
}

type nTo struct {
	Methods      []string `json:"methods,omitempty"`
	Paths        []string `json:"paths,omitempty"`
	Hosts        []string `json:"hosts,omitempty"`
	Ports        []int    `json:"ports,omitempty"`
	AllowEncoded []string `json:"allowEncoded,omitempty"`
}

// The results of a condition; "" is undecided.
const yes, no, unknown = "yes", "no", ""

type naive struct {
	documents []nDocument
	request   policy.Request
	claims    *identity.Claims // nil: there is no valid token
	refusal   decision.Reason
	watched   bool // shadow counts too
}

// decide goes through the steps of the docs, one after the other.
func (n naive) decide() string {
	documents := n.targeting()
	for _, step := range []func([]nDocument) string{n.unreadable, n.early, n.public, n.token, n.late} {
		if len(documents) == 0 {
			return "deny unguarded"
		}
		if answer := step(documents); answer != "" {
			return answer
		}
	}
	return n.allow(documents)
}

func (n naive) targeting() []nDocument {
	sort.Slice(n.documents, func(i, j int) bool { return n.documents[i].Metadata["name"] < n.documents[j].Metadata["name"] })
	var documents []nDocument
	for _, d := range n.documents {
		sort.Slice(d.Spec.Rules, func(i, j int) bool { return d.Spec.Rules[i].Name < d.Spec.Rules[j].Name })
		if (n.watched || d.Spec.Mode != "shadow") && matchesAny(d.Spec.Targets["workloads"], n.request.Callee) {
			documents = append(documents, d)
		}
	}
	return documents
}

func (n naive) unreadable(documents []nDocument) string {
	var admitted []string
	readsHost := strings.HasPrefix(string(n.request.Callee), "gateway/")
	for _, d := range documents {
		for _, r := range d.Spec.Rules {
			if r.To != nil && n.counts(d, r) {
				admitted = append(admitted, r.To.AllowEncoded...)
				readsHost = readsHost || r.To.Hosts != nil
			}
			readsHost = readsHost || n.counts(d, r) && r.When == whenHost
		}
	}
	if policypath.Check(n.request.Path) != nil && (!n.isOdd() || !n.admitted(admitted) || strings.Contains(n.request.Path, "..")) {
		return "deny ambiguous_path"
	}
	if n.request.Method == "get" {
		return "deny ambiguous_method"
	}
	dot := strings.HasPrefix(string(n.request.Callee), "gateway/") && strings.HasSuffix(n.request.Host, ".")
	if readsHost && (dot || strings.HasSuffix(n.request.Host, ":x")) { // the generator makes no other
		return "deny ambiguous_host"
	}
	return ""
}

func (n naive) early(documents []nDocument) string {
	return n.denyFirst(documents, func(_ nDocument, r nRule) bool { return r.early() })
}

func (n naive) public(documents []nDocument) string {
	for _, d := range documents {
		for i, entry := range d.Spec.Public {
			if n.path("public", entry) != yes || len(entry.Methods) > 0 && !slices.Contains(entry.Methods, n.request.Method) {
				continue
			}
			if answer := n.denyFirst(documents, func(d nDocument, _ nRule) bool { return d.guardrail }); answer != "" {
				return answer
			}
			return "allow public " + d.Metadata["name"] + "/public[" + string(rune('0'+i)) + "]"
		}
	}
	return ""
}

func (n naive) token(documents []nDocument) string {
	required, open := false, true
	for _, d := range documents {
		required = required || d.Spec.Identity != "optional"
		open = open && d.Spec.OnOutage == "allow"
	}
	switch {
	case n.claims != nil || n.refusal == decision.TokenMissing && !required:
		return ""
	case n.refusal == decision.KeysUnavailable && open:
		return n.outage(documents)
	}
	return "deny " + string(n.refusal)
}

func (n naive) late(documents []nDocument) string {
	return n.denyFirst(documents, func(nDocument, nRule) bool { return true })
}

func (n naive) denyFirst(documents []nDocument, chosen func(nDocument, nRule) bool) string {
	for _, d := range documents {
		if answer := n.deny(d, func(r nRule) bool { return chosen(d, r) }); answer != "" {
			return answer
		}
	}
	return ""
}

func (n naive) deny(d nDocument, chosen func(nRule) bool) string {
	for _, r := range d.Spec.Rules {
		if r.Effect != "deny" || !n.counts(d, r) || !chosen(r) {
			continue
		}
		switch n.rule(r) {
		case yes:
			return "deny rule_denied " + d.Metadata["name"] + "/" + r.Name
		case unknown:
			return "deny condition_error " + d.Metadata["name"] + "/" + r.Name
		}
	}
	return ""
}

func (n naive) allow(documents []nDocument) string {
	answer := "deny no_rule"
	if n.isOdd() {
		answer = "deny ambiguous_path"
	}
	undecided := false
	for _, d := range documents {
		for _, r := range d.Spec.Rules {
			if r.Effect != "allow" || !n.counts(d, r) {
				continue
			}
			switch n.rule(r) {
			case yes:
				return "allow rule_allowed " + d.Metadata["name"] + "/" + r.Name
			case unknown:
				if !undecided {
					answer, undecided = "deny condition_error "+d.Metadata["name"]+"/"+r.Name, true
				}
			}
		}
	}
	return answer
}

func (n naive) outage(documents []nDocument) string {
	for _, d := range documents {
		if d.guardrail && n.deny(d, func(nRule) bool { return true }) != "" {
			return "deny " + string(n.refusal)
		}
	}
	for _, d := range documents {
		for _, r := range d.Spec.Rules {
			outer := nRule{Effect: r.Effect, From: r.From, To: r.To}
			if r.Effect == "allow" && n.counts(d, r) && (r.From == nil || r.From.Issuers == nil) && n.rule(outer) == yes {
				return "allow allowed_on_outage " + d.Metadata["name"] + "/" + r.Name
			}
		}
	}
	return "deny " + string(n.refusal)
}

func (n naive) counts(d nDocument, r nRule) bool {
	return n.watched || d.Spec.Mode != "shadow" && r.Mode != "shadow"
}

func (r nRule) early() bool {
	return r.When == "" && r.Scopes == nil && r.Claims == nil && (r.From == nil || r.From.Issuers == nil)
}
