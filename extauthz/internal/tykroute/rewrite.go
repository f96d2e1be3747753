package tykroute

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// rewrite is a URL rewrite of an endpoint.
type rewrite struct {
	pattern  *regexp.Regexp // nil: it is broken
	to       string
	triggers bool
	node     *objects.Node
}

func (a *api) readRewrite(n *objects.Node, pattern, to, triggers string) *rewrite {
	w := &rewrite{to: n.FindFold(to).String(), triggers: len(n.FindFold(triggers).Entries()) > 0, node: n}
	compiled, err := regexp.Compile(n.FindFold(pattern).String())
	if err != nil {
		at := n.FindFold(pattern)
		a.addProblem(at, "the pattern "+quote(at.String())+" of a URL rewrite is no regular expression: "+describeRegexp(err))
		return w
	}
	w.pattern = compiled
	a.urlRewriting = true
	return w
}

var (
	groupReference  = regexp.MustCompile(`\$\d+`)
	tykVariable     = regexp.MustCompile(`\$(tyk_meta|tyk_context|secret_[a-z]+)\.`)
	loopHost        = regexp.MustCompile("tyk://([^/]+)")
	notAlphanumeric = regexp.MustCompile("[^A-Za-z0-9]+")
)

// apply gives the new URL (gateway/mw_url_rewrite.go); nil: it does not change. The pattern is looked for in the whole URL with its query, and
// the new URL replaces all of it.
func (w *rewrite) apply(u *url.URL) (*url.URL, string) {
	if w.triggers {
		return nil, "a URL rewrite has triggers: it depends on more than the path"
	}
	if w.pattern == nil {
		return nil, "the pattern of a URL rewrite is broken"
	}
	whole := u.String()
	match := w.pattern.FindStringSubmatch(whole)
	if match == nil && strings.Contains(whole, "%") {
		decoded, err := url.PathUnescape(whole)
		if err != nil {
			return nil, "a URL rewrite cannot decode the path"
		}
		match = w.pattern.FindStringSubmatch(decoded)
	}
	if match == nil {
		return nil, ""
	}
	if tykVariable.MatchString(w.to) {
		return nil, "a URL rewrite reads variables of the session or the request"
	}
	text := w.to
	groups := map[string]string{}
	for i, value := range match {
		groups["$"+strconv.Itoa(i)] = value
	}
	for _, reference := range groupReference.FindAllString(w.to, -1) {
		text = strings.ReplaceAll(text, reference, groups[reference])
	}
	if strings.HasPrefix(text, "tyk") {
		text = loopHost.ReplaceAllStringFunc(text, func(match string) string {
			return "tyk://" + notAlphanumeric.ReplaceAllString(strings.TrimPrefix(match, "tyk://"), "-")
		})
	}
	changed, err := url.Parse(text)
	if err != nil {
		return nil, ""
	}
	return changed, ""
}
