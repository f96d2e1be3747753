package policy_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// rule is the conjunction, evaluated for each path on its own.
func (n naive) rule(r nRule) string {
	if r.To == nil || len(r.To.Paths) == 0 {
		return n.ruleAt(r, "")
	}
	result := no
	for _, p := range r.To.Paths {
		switch n.ruleAt(r, p) {
		case yes:
			return yes
		case unknown:
			result = unknown
		}
	}
	return result
}

func (n naive) ruleAt(r nRule, pattern string) string {
	to := nTo{}
	if r.To != nil {
		to = *r.To
	}
	to.Paths = nil
	if pattern != "" {
		to.Paths = []string{pattern}
	}
	parts := []string{n.path(r.Effect, to), truth(len(to.Methods) == 0 || slices.Contains(to.Methods, n.request.Method))}
	parts = append(parts, truth(len(to.Hosts) == 0 || slices.ContainsFunc(to.Hosts, n.host)))
	parts = append(parts, truth(len(to.Ports) == 0 || slices.Contains(to.Ports, int(n.request.Port))))
	if r.From != nil {
		parts = append(parts, n.from(*r.From)...)
	}
	if len(r.Scopes) > 0 {
		parts = append(parts, n.scopes(r.Scopes))
	}
	for name, values := range r.Claims {
		parts = append(parts, n.claim(strings.TrimPrefix(name, "tctx."), values))
	}
	if r.When != "" {
		parts = append(parts, n.when(r.When, pattern, to.AllowEncoded))
	}
	switch {
	case slices.Contains(parts, no):
		return no
	case slices.Contains(parts, unknown):
		return unknown
	}
	return yes
}

// host matches one or more labels with a wildcard.
func (n naive) host(pattern string) bool {
	host := strings.TrimSuffix(strings.ToLower(strings.TrimSuffix(n.request.Host, ":8080")), ".")
	text := strings.Replace(regexp.QuoteMeta(pattern), `\*`, ".+", 1)
	return regexp.MustCompile("^" + text + "$").MatchString(host)
}

func (n naive) from(f nFrom) []string {
	var parts []string
	if f.Workloads != nil && n.request.Caller == "" {
		parts = append(parts, unknown)
	} else if f.Workloads != nil {
		parts = append(parts, truth(matchesAny(f.Workloads, n.request.Caller)))
	}
	if f.NoPrincipal && n.request.Caller == "" && !n.request.NoCaller {
		parts = append(parts, unknown)
	} else if f.NoPrincipal {
		parts = append(parts, truth(n.request.NoCaller))
	}
	if f.Issuers != nil && n.claims == nil {
		parts = append(parts, unknown)
	} else if f.Issuers != nil {
		parts = append(parts, truth(slices.Contains(f.Issuers, n.claims.Issuer)))
	}
	return parts
}

func (n naive) scopes(wanted []string) string {
	if n.claims == nil {
		return unknown
	}
	for _, scope := range wanted {
		if !strings.Contains(" "+n.claims.Scope+" ", " "+scope+" ") {
			return no
		}
	}
	return yes
}

func (n naive) claim(name string, values []any) string {
	if n.claims == nil || n.claims.Tctx[name] == nil {
		return unknown
	}
	list, isList := n.claims.Tctx[name].([]any)
	if !isList {
		list = []any{n.claims.Tctx[name]}
	}
	result := no
	for _, have := range list {
		if slices.Contains(values, have) {
			return yes
		}
		_, isText := have.(string) // all values of the generator are texts
		if !isText {
			result = unknown
		}
	}
	return result
}

// The generator knows these expressions only.
const (
	whenTenant = "claims.tctx.tenant == path.x"
	whenHost   = `request.host == "a.example"`
	whenHas    = `has(claims.tctx.tenant) && claims.tctx.tenant == "t1"`
)

func (n naive) when(text, pattern string, admitted []string) string {
	switch {
	case text == whenHost:
		return truth(n.host("a.example"))
	case n.claims == nil:
		return unknown
	case text == whenHas:
		return truth(n.claims.Tctx["tenant"] == "t1")
	case n.claims.Tctx["tenant"] == nil:
		return unknown
	}
	expression := regularExpression(pattern)
	bound := expression.FindStringSubmatch(n.request.Path)
	if bound == nil || n.isOdd() && n.path("deny", nTo{Paths: []string{pattern}, AllowEncoded: admitted}) != yes {
		return unknown // or the path does not match, and it does not matter
	}
	value, _ := url.PathUnescape(bound[expression.SubexpIndex("x")])
	return truth(n.claims.Tctx["tenant"] == value)
}

// isOdd knows the ambiguous paths that the generator makes, beside "//" and "..%3B".
func (n naive) isOdd() bool { return len(oddEscapes.FindAllString(n.request.Path, -1)) > 0 }

var oddEscapes = regexp.MustCompile("%2F|%3B")

// admitted reports whether the list has all escapes that make the path ambiguous.
func (n naive) admitted(list []string) bool {
	return !slices.ContainsFunc(oddEscapes.FindAllString(n.request.Path, -1), func(e string) bool { return !slices.Contains(list, e) })
}

func (n naive) path(effect string, to nTo) string {
	if len(to.Paths) == 0 {
		return truth(!n.isOdd() || effect == "deny")
	}
	result := no
	for _, p := range to.Paths {
		path, err := url.PathUnescape(n.request.Path)
		if n.isOdd() {
			path, err = n.request.Path, nil
		}
		matches := err == nil && regularExpression(p).MatchString(path)
		certain := oddEscapes.Split(n.request.Path, 2)[0]
		certain = certain[:strings.LastIndex(certain, "/")+1]
		switch {
		case !n.isOdd() && matches:
			return yes
		case !n.isOdd():
		case matches && n.admitted(to.AllowEncoded) && n.captured(p):
			return yes
		case effect == "deny" && strings.HasSuffix(p, "/**") && regularExpression(p).MatchString(certain):
			return yes
		case effect == "deny" && couldReach(p, certain):
			result = unknown
		}
	}
	return result
}

// captured reports whether the pattern has a capture at the ambiguous segment.
func (n naive) captured(pattern string) bool {
	for i, segment := range strings.Split(n.request.Path, "/") {
		parts := strings.Split(pattern, "/")
		if oddEscapes.MatchString(segment) && (i >= len(parts) || !strings.HasPrefix(parts[i], "{")) {
			return false
		}
	}
	return true
}

// couldReach reports whether some path that begins with the certain segments matches.
func couldReach(pattern, certain string) bool {
	parts, have := strings.Split(pattern, "/"), strings.Split(certain, "/")
	if len(parts) < len(have) {
		return false
	}
	return regularExpression(strings.Join(parts[:len(have)-1], "/") + "/").MatchString(certain)
}

func regularExpression(pattern string) *regexp.Regexp {
	text := regexp.QuoteMeta(pattern)
	text = regexp.MustCompile(`\\\{([a-z])\\\}`).ReplaceAllString(text, "(?P<$1>[^/]+)")
	return regexp.MustCompile("^" + strings.Replace(text, `/\*\*`, "/.*", 1) + "$")
}

func matchesAny(patterns []string, w identity.Workload) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, "[^/]+") + "$").MatchString(string(w))
	})
}

func truth(b bool) string {
	if b {
		return yes
	}
	return no
}
