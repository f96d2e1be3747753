package main

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/forward"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/token"
)

// validator checks the meaning of what the strict reader could read.
type validator struct {
	file       string
	doc        *strictyaml.Document
	unreadable strictyaml.Problems // what the reader said
	problems   strictyaml.Problems // what is wrong with the rest
}

// add notes a problem at a value, unless the reader has already found that the
// value cannot be read: one mistake, one message.
func (v *validator) add(path []any, format string, args ...any) {
	position := v.doc.At(path...)
	said := func(p strictyaml.Problem) bool { return p.Line == position.Line }
	if v.doc.Has(path...) && slices.ContainsFunc(v.unreadable, said) {
		return
	}
	v.problems.Add(position, format, args...)
}

func at(path ...any) []any { return path }

func (v *validator) config(c *config) {
	if err := token.CheckIssuer(c.Issuer); err != nil {
		v.add(at("issuer"), "issuer: %v", err)
	}
	if err := token.CheckAudience(c.Audience); err != nil {
		v.add(at("audience"), "audience: %v", err)
	}
	if _, err := (identity.TrustDomains{}).ParseWorkload(c.Workload); err != nil || c.Workload == "" {
		v.add(at("workload"), "workload: want the gateway's SPIFFE id, such as spiffe://cluster.local/ns/edge/sa/tyk-gateway")
	}
	v.present(c.Keys.Dir, at("keys", "dir"))
	v.present(c.SecretFile, at("secretFile"))
	if c.Lifetime < time.Second || c.Lifetime > token.MaxLifetime {
		v.add(at("lifetime"), "lifetime %v: want 1s to %v", c.Lifetime, token.MaxLifetime)
	}
	if c.MinRemaining < time.Second || c.MinRemaining > c.Lifetime {
		v.add(at("minRemaining"), "minRemaining %v: want 1s to the lifetime, %v", c.MinRemaining, c.Lifetime)
	}
	v.upstreams(c)
	for i := range c.IDPs {
		v.idp(c.IDPs, i)
	}
	someone := len(c.IDPs) > 0
	for _, kind := range kinds {
		if mapping := kind.rules(c); mapping != nil {
			someone = true
			v.sessions(kind, mapping)
		}
	}
	if !someone {
		v.add(at("idps"), "neither idps nor a kind of session such as apiKeys: no caller could be signed for")
	}
	v.edge(c)
	if v.doc.Has("revocation") {
		v.present(c.Revocation.File, at("revocation", "file"))
	}
	if _, err := netip.ParseAddrPort(c.Metrics); err != nil && v.doc.Has("metrics") {
		v.add(at("metrics"), "metrics %q: want IP:PORT, such as 127.0.0.1:9092", c.Metrics)
	}
	if c.Audit.Output != toStdout && c.Audit.Output != toStderr {
		v.add(at("audit", "output"), "audit.output %q: want stdout or stderr", c.Audit.Output)
	}
	if c.Audit.Queue < minAuditQueue || c.Audit.Queue > maxAuditQueue {
		v.add(at("audit", "queue"), "audit.queue %s: want %s to %s", c.Audit.Queue, minAuditQueue, maxAuditQueue)
	}
	if n := c.Audit.AnonymousDenials; n < 1 || n > maxAnonymous {
		v.add(at("audit", "anonymousDenials"), "audit.anonymousDenials %d: want 1 to %d, the records a second for each reason", n, maxAnonymous)
	}
}

// upstreams has no default: a token is a bearer, and who receives it can use it.
func (v *validator) upstreams(c *config) {
	if len(c.Upstreams) == 0 {
		v.add(at("upstreams"), `upstreams: want the hosts that a token may be sent to, such as "*.svc.cluster.local"`)
	}
	for i, entry := range c.Upstreams {
		u, err := forward.ParseHost(entry)
		if err != nil {
			v.add(at("upstreams", i), "upstreams: %v", err)
		}
		c.upstreams = append(c.upstreams, u)
	}
}

func (v *validator) present(value string, path []any) {
	if value == "" {
		v.add(path, "%s is missing", dotted(path))
	}
}

func (v *validator) url(value string, path []any) {
	if !isWebURL(value) {
		v.add(path, "%s: want an http or https URL", path[len(path)-1])
	}
}

func isWebURL(value string) bool {
	u, err := url.Parse(value)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// dotted writes a path of keys as people do.
func dotted(path []any) string {
	var keys []string
	for _, step := range path {
		if key, ok := step.(string); ok {
			keys = append(keys, key)
		}
	}
	return strings.Join(keys, ".")
}
