package localcopy

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

// Endpoint is a rate limit of an endpoint.
type Endpoint struct {
	Method string `json:"method"`
	Path   string `json:"path"` // a pattern
	Rate
}

// Matching is how the gateway compares paths with the patterns of endpoints.
type Matching struct {
	Prefix     bool `json:"prefix"`     // http_server_options.enable_path_prefix_matching
	Suffix     bool `json:"suffix"`     // http_server_options.enable_path_suffix_matching
	IgnoreCase bool `json:"ignoreCase"` // ignore_endpoint_case; of definitions, and not of policies and keys
}

func readMatching(conf object) Matching {
	options := objectAt(conf, "http_server_options")
	return Matching{isTrueAt(options, "enable_path_prefix_matching"), isTrueAt(options, "enable_path_suffix_matching"), isTrueAt(conf, "ignore_endpoint_case")}
}

// FindDefined finds the limit of a definition that counts a request (APISpec.FindSpecMatchesStatus). It is nil if there is no such limit.
func (m Matching) FindDefined(a *API, method, target string) *Endpoint {
	return m.find(a.Endpoints, a.ListenPath, target, func(name string) bool { return name == method })
}

// FindGranted finds the limit of a policy or of a key that counts a request (SessionLimiter.RateLimitInfo). It is nil if there is no such limit.
func (m Matching) FindGranted(granted []Endpoint, a *API, method, target string) *Endpoint {
	m.IgnoreCase = false
	return m.find(granted, a.ListenPath, target, func(name string) bool { return strings.EqualFold(name, method) })
}

// find finds the first endpoint with a method and a path. Patterns are compared with the path without the listen path.
func (m Matching) find(endpoints []Endpoint, listenPath, target string, hasMethod func(string) bool) *Endpoint {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil
	}
	path := tykroute.StripListenPath(listenPath, u.Path)
	for i, e := range endpoints {
		text := tykroute.PreparePattern(e.Path, m.Prefix, m.Suffix)
		if m.IgnoreCase {
			text = "(?i)" + text
		}
		if pattern, err := regexp.Compile(text); err == nil && hasMethod(e.Method) && pattern.MatchString(path) {
			return &endpoints[i]
		}
	}
	return nil
}
