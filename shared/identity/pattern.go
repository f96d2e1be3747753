package identity

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

// Pattern names one or more workloads, as documents write them: ns/NAMESPACE/sa/ACCOUNT,
// where * is any namespace or account, or the SPIFFE id of a workload of another trust
// domain. The zero Pattern matches nothing.
type Pattern struct {
	literal            Workload
	namespace, account string // "*" matches any; only where literal is empty
}

var (
	// localForm has the names that Kubernetes allows. A name in capitals is a mistake there.
	localForm = regexp.MustCompile(`^ns/(\*|[a-z0-9][a-z0-9.-]*)/sa/(\*|[a-z0-9][a-z0-9.-]*)$`)
	// istioPrincipal is the form of a workload in Istio's AuthorizationPolicy.
	istioPrincipal = regexp.MustCompile(`^[a-z0-9.-]+/(ns/(?:\*|[a-z0-9][a-z0-9.-]*)/sa/(?:\*|[a-z0-9][a-z0-9.-]*))$`)
	spiffeForm     = regexp.MustCompile(`^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+$`)
)

// ParsePattern reads a pattern of workloads. It rejects every other form, and the SPIFFE id
// of a workload of the mesh that has a short form: a pattern that matches nothing by
// mistake would never be noticed. A workload of the mesh with a name that Kubernetes does
// not allow, such as My_Job, is written as a SPIFFE id.
func (t TrustDomains) ParsePattern(text string) (Pattern, error) {
	if spiffeForm.MatchString(text) {
		return t.parseSPIFFEPattern(text)
	}
	m := localForm.FindStringSubmatch(text)
	switch {
	case m == nil && isWorkloadPath(text) && isValidPath(text):
		return Pattern{}, fmt.Errorf("%q: want ns/NAMESPACE/sa/ACCOUNT with lower-case letters, as Kubernetes names them; a workload with exactly this name is written %s", text, t.spiffeID(text))
	case m == nil && istioPrincipal.MatchString(text):
		return Pattern{}, fmt.Errorf("%q: write %s, without the trust domain", text, istioPrincipal.FindStringSubmatch(text)[1])
	case m == nil:
		return Pattern{}, fmt.Errorf("%q: want ns/NAMESPACE/sa/ACCOUNT, with * for a whole segment, or spiffe://DOMAIN/PATH", text)
	case m[1] == "*" || m[2] == "*":
		return Pattern{namespace: m[1], account: m[2]}, nil
	default:
		return Pattern{literal: Workload(text)}, nil
	}
}

// parseSPIFFEPattern reads spiffe://DOMAIN/PATH.
func (t TrustDomains) parseSPIFFEPattern(text string) (Pattern, error) {
	w, err := t.ParseWorkload(text)
	switch {
	case err != nil:
		return Pattern{}, err
	case string(w) == text, !localForm.MatchString(string(w)) && text == t.spiffeID(string(w)):
		return Pattern{literal: w}, nil
	case localForm.MatchString(string(w)):
		return Pattern{}, fmt.Errorf("%q: write %s, the trust domain is the mesh's own", text, w)
	default:
		return Pattern{}, fmt.Errorf("%q: write %s, the trust domain is an alias of the mesh's own", text, t.spiffeID(string(w)))
	}
}

// spiffeID returns the SPIFFE id of a workload of the mesh.
func (t TrustDomains) spiffeID(path string) string {
	return "spiffe://" + cmp.Or(t.Local, "DOMAIN") + "/" + path
}

// Literal returns the one workload that the pattern names. It is empty if the pattern has
// a wildcard.
func (p Pattern) Literal() Workload { return p.literal }

// Match reports whether the pattern names the workload. A wildcard matches workloads of
// the mesh only.
func (p Pattern) Match(w Workload) bool {
	if p.literal != "" {
		return p.literal == w
	}
	rest, local := strings.CutPrefix(string(w), "ns/")
	namespace, account, found := strings.Cut(rest, "/sa/")
	return local && found && namespace != "" && (p.namespace == "*" || p.namespace == namespace) && (p.account == "*" || p.account == account)
}

// String returns the form that is parsed. It is empty for the zero Pattern.
func (p Pattern) String() string {
	if p.literal != "" || p.namespace == "" {
		return string(p.literal)
	}
	return "ns/" + p.namespace + "/sa/" + p.account
}

// MarshalText returns [Pattern.String], so that a pattern is a text in JSON.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Covers reports whether p names every workload that q names.
func (p Pattern) Covers(q Pattern) bool {
	if q.literal != "" {
		return p.Match(q.literal)
	}
	return p.literal == "" && q.namespace != "" &&
		(p.namespace == "*" || p.namespace == q.namespace) && (p.account == "*" || p.account == q.account)
}

// Overlaps reports whether p and q name a workload in common.
func (p Pattern) Overlaps(q Pattern) bool {
	if p.literal != "" {
		return q.Match(p.literal)
	}
	if q.literal != "" {
		return p.Match(q.literal)
	}
	meet := func(one, other string) bool {
		return one != "" && other != "" && (one == "*" || other == "*" || one == other)
	}
	return meet(p.namespace, q.namespace) && meet(p.account, q.account)
}

// MatchingPatterns returns every pattern that matches the workload, for an index by
// pattern. There are one or four; the others are zero.
func (w Workload) MatchingPatterns() [4]Pattern {
	all := [4]Pattern{{literal: w}}
	rest, local := strings.CutPrefix(string(w), "ns/")
	namespace, account, found := strings.Cut(rest, "/sa/")
	if local && found && namespace != "" {
		all[1] = Pattern{namespace: namespace, account: "*"}
		all[2] = Pattern{namespace: "*", account: account}
		all[3] = Pattern{namespace: "*", account: "*"}
	}
	return all
}
