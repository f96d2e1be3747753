package identity

import (
	"fmt"
	"regexp"
	"strings"
)

// Callees that have no certificate of their own: a Service behind a waypoint,
// which routes by the Service's address, and a gateway that the configuration
// names. Neither can be a caller: no SPIFFE id reads as one of these.
var (
	serviceForm = regexp.MustCompile(`^service/` + label + `/` + label + `$`)
	gatewayForm = regexp.MustCompile(`^gateway/` + label + `$`)
)

// label is a DNS label (RFC 1123), as namespaces and Services are named.
const label = `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`

// Service names a Service as the called side.
func Service(namespace, name string) (Workload, error) {
	text := "service/" + namespace + "/" + name
	if !serviceForm.MatchString(text) {
		return "", fmt.Errorf("namespace %q, name %q: want DNS labels: lower-case letters, digits and -", namespace, name)
	}
	return Workload(text), nil
}

// Gateway reads "gateway/NAME".
func Gateway(text string) (Workload, error) {
	if !gatewayForm.MatchString(text) {
		return "", fmt.Errorf("%q: want gateway/NAME, a name of lower-case letters, digits and -", text)
	}
	return Workload(text), nil
}

// IsService reports whether the called side is a Service, not a workload.
func (w Workload) IsService() bool { return strings.HasPrefix(string(w), "service/") }

// ParseTarget is [TrustDomains.ParsePattern] for the called side, which may also
// be service/NAMESPACE/NAME or gateway/NAME.
func (t TrustDomains) ParseTarget(text string) (Pattern, error) {
	if serviceForm.MatchString(text) || gatewayForm.MatchString(text) {
		return Pattern{literal: Workload(text)}, nil
	}
	pattern, err := t.ParsePattern(text)
	if err != nil {
		return Pattern{}, fmt.Errorf("%w; or service/NAMESPACE/NAME, or gateway/NAME", err)
	}
	return pattern, nil
}
