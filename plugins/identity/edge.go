package main

import (
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// edgeConfig names documents that target edge/API; absent: nothing is judged here.
// The edge can only deny what a hop might have let in: an API that no document
// targets is left to the hops.
type edgeConfig struct {
	Policies []edgeFolder `yaml:"policies"`
	Enforce  bool         `yaml:"enforce"` // default: answers are recorded, and not given
}

type edgeFolder struct {
	Path string `yaml:"path"`
	Name string `yaml:"name"` // default: the last element of path
}

func (v *validator) edge(c *config) {
	if !v.doc.Has("edge") {
		return
	}
	if len(c.Edge.Policies) == 0 {
		v.add(at("edge", "policies"), "edge.policies: want the folders of documents, as in [{path: policies}]")
	}
	for i := range c.Edge.Policies {
		folder, place := &c.Edge.Policies[i], at("edge", "policies", i)
		if folder.Path == "" {
			v.present(folder.Path, append(place, "path"))
			continue
		}
		folder.Path = beside(v.file, folder.Path)
		if !v.doc.Has(append(place, "name")...) {
			folder.Name = policy.DirName(folder.Path)
		} else if !policy.IsDirName(folder.Name) {
			v.add(append(place, "name"), "edge.policies.name %q: want letters, digits, dots, _ and -, 63 at most", folder.Name)
		}
		for _, other := range c.Edge.Policies[:i] {
			switch {
			case policy.Overlap(folder.Path, other.Path):
				v.add(place, "edge.policies: %s and %s are one folder, or one is inside the other: list folders that have no file in common", other.Path, folder.Path)
			case folder.Name == other.Name:
				v.add(place, "edge.policies: two folders are named %q, %s and %s: give one of them another name, as in {path: %s, name: NAME}", folder.Name, other.Path, folder.Path, folder.Path)
			}
		}
	}
}

// edgeDirs are the folders as they are now.
func (c *config) edgeDirs() (dirs []policy.Dir) {
	for _, folder := range c.Edge.Policies {
		dir := policy.OSDir(folder.Path)
		dir.Name = folder.Name
		dirs = append(dirs, dir)
	}
	return dirs
}

// mapped are the members that this gateway can write into tctx: a rule that reads
// another one is a slip, and would decide by what no token has.
func (c *config) mapped() []string {
	names := map[string]bool{}
	for _, p := range c.IDPs {
		for name := range p.Claims {
			names[name] = true
		}
	}
	for _, k := range kinds {
		if rules := k.rules(c); rules != nil {
			for name := range rules.Claims {
				names[name] = true
			}
		}
	}
	return slices.AppendSeq([]string{}, maps.Keys(names))
}

// verdict is what the documents of the edge say of a request. The zero verdict is
// of a request that none of them judges.
type verdict struct {
	decision.Decision
	asked
	generation string
	inputs     map[string]any
}

// judge gives an error where the documents deny and are enforced. t is nil for a
// caller who stays unknown.
func (s *signer) judge(r *http.Request, t *transaction) (v verdict, err error) {
	if s.policies == nil {
		return v, nil
	}
	d, err := definitionOf(r)
	if err != nil {
		return v, err
	}
	callee, err := identity.EdgeCallee(d.id)
	if err != nil {
		return v, nil // no document can name it
	}
	var claims *identity.Claims
	if t != nil {
		if claims, err = s.minter.ClaimsFor(t.Identity, t.lifetime); err != nil {
			return v, err
		}
	}
	a := askedOf(r, d.id)
	question := s.question(r, callee, a)
	answer := s.policies.Decide(question, func() (*identity.Claims, decision.Reason) {
		if claims == nil {
			return nil, decision.TokenMissing
		}
		return claims, ""
	})
	if answer.Reason == decision.Unguarded && answer.Shadow == nil {
		return v, nil
	}
	v = verdict{given(answer, s.config.Edge.Enforce), a, s.policies.Generation(), s.policies.Inputs(question, claims)}
	s.meter.foretold(v.Decision)
	if !v.Allowed() {
		return v, refuse(v.Reason, "edge policy %q, rule %q", v.Policy, v.Rule)
	}
	return v, nil
}

// given is what the edge does of an answer: nothing where it does not enforce, or
// where only documents in shadow target the API.
func given(answer decision.Decision, enforce bool) decision.Decision {
	if enforce && answer.Reason != decision.Unguarded {
		return answer
	}
	all := decision.Allow(decision.Unenforced)
	all.Shadow = &answer
	if answer.Reason == decision.Unguarded {
		all.Shadow = answer.Shadow
	}
	return all
}

// note adds the verdict to the record of the request, with what was judged: by the
// time of the post hook Tyk may have rewritten it.
func (v verdict) note(record *audit.Record) {
	if v.generation == "" {
		return
	}
	record.Method, record.Path = audit.Clip(v.method, audit.MaxMethod), audit.Clip(v.path, audit.MaxPath)
	record.Host = audit.Clip(v.host, audit.MaxHost)
	record.Policy, record.Folder, record.Rule, record.Mode, record.Shadow = v.Policy, v.Folder, v.Rule, v.Mode(), v.Shadows()
	record.Generation = v.generation
	record.Inputs, record.Unrecorded = audit.BoundInputs(v.inputs)
}

// asked is what the client itself asked for, before Tyk rewrites it.
type asked struct{ api, method, path, host string }

// rememberAsked is for the post hook of an API that asks for a certificate only:
// [SignIdentity] is called that late there.
func rememberAsked(r *http.Request) {
	if d, err := definitionOf(r); err == nil && d.byCertificate {
		now := asked{d.id, r.Method, r.URL.EscapedPath(), r.Host}
		*r = *r.WithContext(context.WithValue(r.Context(), asked{}, now))
	}
}

func askedOf(r *http.Request, api string) asked {
	if a, remembered := r.Context().Value(asked{}).(asked); remembered && a.api == api {
		return a
	}
	return asked{api, r.Method, r.URL.EscapedPath(), r.Host}
}

// question is the request as documents see it. Nobody but a user calls here.
func (s *signer) question(r *http.Request, callee identity.Workload, a asked) policy.Request {
	return policy.Request{
		NoCaller: true, Callee: callee, Method: a.method, Path: a.path, Host: a.host,
		Port: port(r), Headers: headersOf(r.Header), Now: s.now(),
	}
}

// headersOf gives each header as Envoy would: by its lower-case name, values with commas.
func headersOf(h http.Header) map[string]string {
	all := make(map[string]string, len(h))
	for name, values := range h {
		name = strings.ToLower(name)
		if before, twice := all[name]; twice {
			values = append([]string{before}, values...)
		}
		all[name] = strings.Join(values, ",")
	}
	return all
}

// port is the gateway's, to which the client is connected.
func port(r *http.Request) uint32 {
	address, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return 0
	}
	_, text, _ := net.SplitHostPort(address.String())
	number, _ := strconv.ParseUint(text, 10, 16)
	return uint32(number)
}
