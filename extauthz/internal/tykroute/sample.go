package tykroute

import (
	"cmp"
	"regexp"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
)

// SampleEntrance is a request with the host, empty for every host, and the port by which clients reach an API.
func (r *Router) SampleEntrance(m *model.API) (request Request) {
	for _, a := range r.apis {
		if a.API == m {
			return Request{Host: Sample(r.hostOf(a)), Port: a.port}
		}
	}
	return Request{}
}

// Parameter finds the parameters of a listen path or a domain, {NAME} or {NAME:EXPRESSION}, with the expression as its group.
var Parameter = regexp.MustCompile(`\{[^{}:]+(?::((?:[^{}]|\{[^{}]*\})+))?\}`)

// Sample writes values for the parameters of a listen path or a domain.
func Sample(text string) string {
	return Parameter.ReplaceAllStringFunc(text, func(match string) string {
		pattern, err := regexp.Compile("^(?:" + cmp.Or(Parameter.FindStringSubmatch(match)[1], "[^/]+") + ")$")
		if err != nil {
			return "x"
		}
		for _, sample := range []string{"probe", "7", "42", "v1", "a", "A", "en", "1234567890", "00000000-0000-0000-0000-000000000000", "a/b"} {
			if pattern.MatchString(sample) {
				return sample
			}
		}
		return "x"
	})
}
