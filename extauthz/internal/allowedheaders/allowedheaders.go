// Package allowedheaders writes and reads the EnvoyFilter that makes sidecars send only some headers of
// a request to the authorizer (allowed_headers of envoy.extensions.filters.http.ext_authz.v3.ExtAuthz).
//
// Each header of a Check costs time at Envoy, on the wire and here. But a rule that reads a header that
// no sidecar sends sees a request without it, and a header in a forged spelling that no sidecar sends
// cannot be removed. So the file always has what every decision needs, and the authorizer reads the same
// file and rejects documents that read more.
package allowedheaders

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

// Settings are what the EnvoyFilter depends on.
type Settings struct {
	Namespace string   // of the EnvoyFilter; the root namespace is for the whole mesh
	Headers   []string // lower-case names, beside decide.HeadersRead
}

// Name of the EnvoyFilter.
const Name = "meshpass-allowed-headers"

// MaxFileBytes is far more than the file takes.
const MaxFileBytes = 1 << 20

// filter is the part of an EnvoyFilter that is read. Its order is that of the file.
type filter struct {
	APIVersion string         `yaml:"apiVersion"`
	Kind       string         `yaml:"kind"`
	Metadata   map[string]any `yaml:"metadata"`
	Spec       struct {
		WorkloadSelector map[string]any `yaml:"workloadSelector,omitempty"`
		TargetRefs       []any          `yaml:"targetRefs,omitempty"`
		Priority         int            `yaml:"priority,omitempty"`
		ConfigPatches    []patch        `yaml:"configPatches"`
	} `yaml:"spec"`
}

type patch struct {
	ApplyTo string         `yaml:"applyTo"`
	Match   map[string]any `yaml:"match"`
	Patch   struct {
		Operation string `yaml:"operation"`
		Value     struct {
			Name        string      `yaml:"name"`
			TypedConfig typedConfig `yaml:"typed_config"`
		} `yaml:"value"`
	} `yaml:"patch"`
}

type typedConfig struct {
	Type           string `yaml:"@type"`
	AllowedHeaders struct {
		Patterns []pattern `yaml:"patterns"`
	} `yaml:"allowed_headers"`
}

// pattern is a StringMatcher with one of its members.
type pattern struct {
	Exact     string `yaml:"exact,omitempty"`
	SafeRegex *regex `yaml:"safe_regex,omitempty"`
}

type regex struct {
	Regex string `yaml:"regex"`
}

const (
	filterName = "envoy.filters.http.ext_authz"
	filterType = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
)

const comment = `# Sidecars send only these headers of a request to Meshpass. meshpass istio headers has made this from the policies: make it again
# when a policy reads another header, and apply it before that policy. The authorizer must read this file too
# (envoy.allowedHeaders), or it cannot reject a policy that reads a header which is not sent.
# It changes every ext_authz filter of these sidecars: do not apply it to workloads that another authorizer guards.
`

// Write gives the EnvoyFilter for the inbound side of sidecars.
func Write(s Settings) ([]byte, error) {
	var f filter
	f.APIVersion, f.Kind = "networking.istio.io/v1alpha3", "EnvoyFilter"
	f.Metadata = map[string]any{"name": Name, "namespace": s.Namespace}
	p := patch{ApplyTo: "HTTP_FILTER", Match: map[string]any{
		"context": "SIDECAR_INBOUND",
		"listener": map[string]any{"filterChain": map[string]any{"filter": map[string]any{
			"name": "envoy.filters.network.http_connection_manager", "subFilter": map[string]any{"name": filterName},
		}}},
	}}
	p.Patch.Operation, p.Patch.Value.Name, p.Patch.Value.TypedConfig.Type = "MERGE", filterName, filterType
	patterns := []pattern{{SafeRegex: &regex{identity.ReservedHeaderPattern}}}
	for _, name := range ListNames(s.Headers) {
		patterns = append(patterns, pattern{Exact: name})
	}
	p.Patch.Value.TypedConfig.AllowedHeaders.Patterns = patterns
	f.Spec.ConfigPatches = []patch{p}
	out := bytes.NewBufferString(comment)
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	err := errors.Join(encoder.Encode(f), encoder.Close())
	return out.Bytes(), err
}

// ListNames gives the sorted names of all headers that are sent, without the reserved ones, whose
// spellings have no end.
func ListNames(headers []string) []string {
	names := slices.Concat(decide.HeadersRead(), headers)
	slices.Sort(names)
	return slices.Compact(names)
}

// CheckName rejects what no document can read and what is sent anyway.
func CheckName(name string) error {
	switch {
	case !nameForm.MatchString(name):
		return fmt.Errorf("%q: want the name of a header in lower case", name)
	case identity.IsReservedHeader(name):
		return fmt.Errorf("%q is always sent", name)
	}
	return nil
}

var nameForm = regexp.MustCompile("^[a-z0-9!#$%&'*+.^_`|~-]{1,128}$") // RFC 9110 section 5.6.2

// Parse reads the file of [Write], whose metadata and workloadSelector may differ, and gives the names
// of the headers that are sent. Errors are Problems: a file of another form, or one that lacks a header
// that every decision needs.
func Parse(data []byte) ([]string, error) {
	document, err := strictyaml.Parse(data)
	if err != nil {
		return nil, err
	}
	var f filter
	if problems := document.Decode(&f); len(problems) > 0 {
		return nil, problems
	}
	reject := func(format string, args ...any) error {
		return strictyaml.Problems{{Position: document.PositionOf("spec", "configPatches", 0, "patch", "value", "typed_config", "allowed_headers", "patterns"), Message: fmt.Sprintf(format, args...)}}
	}
	if f.Kind != "EnvoyFilter" || len(f.Spec.ConfigPatches) != 1 || f.Spec.ConfigPatches[0].Patch.Value.TypedConfig.Type != filterType {
		return nil, reject("want the EnvoyFilter of meshpass istio headers, with one patch")
	}
	names, reserved := []string{}, false
	for _, p := range f.Spec.ConfigPatches[0].Patch.Value.TypedConfig.AllowedHeaders.Patterns {
		switch {
		case p.SafeRegex != nil && p.Exact == "" && p.SafeRegex.Regex == identity.ReservedHeaderPattern:
			reserved = true
		case p.SafeRegex != nil || p.Exact == "":
			return nil, reject("want exact: NAME, and once safe_regex with %s", identity.ReservedHeaderPattern)
		default:
			names = append(names, p.Exact)
		}
	}
	if !reserved {
		return nil, reject("without safe_regex: {regex: '%s'} forged headers would reach workloads: make the file again with meshpass istio headers", identity.ReservedHeaderPattern)
	}
	if absent := slices.DeleteFunc(decide.HeadersRead(), func(name string) bool { return slices.Contains(names, name) }); len(absent) > 0 {
		return nil, reject("every decision needs %s too: make the file again with meshpass istio headers", strings.Join(absent, ", "))
	}
	return names, nil
}
