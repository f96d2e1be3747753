package identity

import (
	"fmt"
	"regexp"
	"strings"
)

// Callees without a certificate of their own: a Service behind a waypoint, which routes by
// the Service's address, a gateway that the configuration names, and an API of Tyk. They
// cannot be callers, because no SPIFFE id has such a form.
var (
	serviceForm = regexp.MustCompile(`^service/` + label + `/` + label + `$`)
	gatewayForm = regexp.MustCompile(`^gateway/` + label + `$`)
	edgeForm    = regexp.MustCompile(`^edge/[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
)

// label is a DNS label (RFC 1123), the form of the names of namespaces and Services.
const label = `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`

// ServiceCallee returns the callee service/NAMESPACE/NAME, for a Kubernetes Service.
func ServiceCallee(namespace, name string) (Workload, error) {
	text := "service/" + namespace + "/" + name
	if !serviceForm.MatchString(text) {
		return "", fmt.Errorf("namespace %q, name %q: want DNS labels: lower-case letters, digits and -", namespace, name)
	}
	return Workload(text), nil
}

// ParseGateway reads the callee gateway/NAME.
func ParseGateway(text string) (Workload, error) {
	if !gatewayForm.MatchString(text) {
		return "", fmt.Errorf("%q: want gateway/NAME, a name of lower-case letters, digits and -", text)
	}
	return Workload(text), nil
}

// EdgeCallee returns the callee edge/API, for an API of Tyk by its id.
func EdgeCallee(apiID string) (Workload, error) {
	text := "edge/" + apiID
	if !edgeForm.MatchString(text) {
		return "", fmt.Errorf("API id %q: want letters, digits, dots, - and _", apiID)
	}
	return Workload(text), nil
}

// IsEdge reports whether the callee is an API at the edge, where no caller is known.
func (w Workload) IsEdge() bool { return strings.HasPrefix(string(w), "edge/") }

// IsService reports whether the callee is a Service, and not a workload.
func (w Workload) IsService() bool { return strings.HasPrefix(string(w), "service/") }

// IsGateway reports whether the callee is a gateway, which routes by the request's host.
func (w Workload) IsGateway() bool { return strings.HasPrefix(string(w), "gateway/") }

// ParseTarget reads a pattern of callees: one of [TrustDomains.ParsePattern], or
// service/NAMESPACE/NAME, gateway/NAME or edge/API.
func (t TrustDomains) ParseTarget(text string) (Pattern, error) {
	if serviceForm.MatchString(text) || gatewayForm.MatchString(text) || edgeForm.MatchString(text) {
		return Pattern{literal: Workload(text)}, nil
	}
	pattern, err := t.ParsePattern(text)
	if err != nil {
		return Pattern{}, fmt.Errorf("%w; or service/NAMESPACE/NAME, gateway/NAME, or edge/API", err)
	}
	return pattern, nil
}
