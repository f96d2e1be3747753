package identity

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

// Pattern names workloads as people write them: "ns/shop/sa/orders", with * for
// a whole segment, or a literal "spiffe://…" id of a foreign domain. The zero
// Pattern matches nothing.
type Pattern struct {
	literal            Workload
	namespace, account string // "*" matches any; only where literal is empty
}

var (
	// localForm has the names that Kubernetes gives: one in capitals is a slip there.
	localForm = regexp.MustCompile(`^ns/(\*|[a-z0-9][a-z0-9.-]*)/sa/(\*|[a-z0-9][a-z0-9.-]*)$`)
	// istioPrincipal is how Istio's AuthorizationPolicy writes a workload.
	istioPrincipal = regexp.MustCompile(`^[a-z0-9.-]+/(ns/(?:\*|[a-z0-9][a-z0-9.-]*)/sa/(?:\*|[a-z0-9][a-z0-9.-]*))$`)
	foreignForm    = regexp.MustCompile(`^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+$`)
)

// ParsePattern refuses every other form, and the long form of a local workload
// that has a short one: a pattern that matches nothing by a slip would never be
// noticed. A local workload whose names Kubernetes would not give, such as My_Job,
// has the long form alone.
func (t TrustDomains) ParsePattern(text string) (Pattern, error) {
	if foreignForm.MatchString(text) {
		return t.parseLong(text)
	}
	m := localForm.FindStringSubmatch(text)
	switch {
	case m == nil && isWorkloadPath(text) && validPath(text):
		return Pattern{}, fmt.Errorf("%q: want ns/NAMESPACE/sa/ACCOUNT with small letters, as Kubernetes names them; a workload of this very name is written %s", text, t.long(text))
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

// parseLong reads spiffe://DOMAIN/PATH.
func (t TrustDomains) parseLong(text string) (Pattern, error) {
	w, err := t.ParseWorkload(text)
	switch {
	case err != nil:
		return Pattern{}, err
	case string(w) == text, !localForm.MatchString(string(w)) && text == t.long(string(w)):
		return Pattern{literal: w}, nil
	case localForm.MatchString(string(w)):
		return Pattern{}, fmt.Errorf("%q: write %s, the trust domain is the mesh's own", text, w)
	default:
		return Pattern{}, fmt.Errorf("%q: write %s, the trust domain is an alias of the mesh's own", text, t.long(string(w)))
	}
}

// long is the SPIFFE id of a local workload.
func (t TrustDomains) long(path string) string {
	return "spiffe://" + cmp.Or(t.Local, "DOMAIN") + "/" + path
}

// Literal is the one workload that the pattern names, or empty where it has a
// wildcard.
func (p Pattern) Literal() Workload { return p.literal }

// Match reports whether the workload is one of those named. A wildcard reaches
// workloads of the local trust domain only.
func (p Pattern) Match(w Workload) bool {
	if p.literal != "" {
		return p.literal == w
	}
	rest, local := strings.CutPrefix(string(w), "ns/")
	namespace, account, found := strings.Cut(rest, "/sa/")
	return local && found && namespace != "" && (p.namespace == "*" || p.namespace == namespace) && (p.account == "*" || p.account == account)
}

// String is the pattern as people write it; empty for the zero Pattern.
func (p Pattern) String() string {
	if p.literal != "" || p.namespace == "" {
		return string(p.literal)
	}
	return "ns/" + p.namespace + "/sa/" + p.account
}

// MarshalText is String, so that a pattern is a text in JSON.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Covers reports whether p names every workload that q names.
func (p Pattern) Covers(q Pattern) bool {
	if q.literal != "" {
		return p.Match(q.literal)
	}
	return p.literal == "" && q.namespace != "" &&
		(p.namespace == "*" || p.namespace == q.namespace) && (p.account == "*" || p.account == q.account)
}

// MatchingPatterns gives all patterns that match the workload: the keys under which an
// index may hold something for it. Those that are left over are zero.
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
