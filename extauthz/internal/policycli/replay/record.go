package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Recorded is a decision as its audit record tells it.
type Recorded struct {
	audit.Record
	Request policy.Request
	Claims  *identity.Claims // of a token that was verified; nil: there was none, or nothing looked at it
}

// errOther is a line that is no audit record, such as a log that goes to the same
// place.
var errOther = errors.New("no audit record")

// gapError is a line that counts records which are missing.
type gapError struct{ count uint64 }

func (g gapError) Error() string { return fmt.Sprintf("%d records are missing", g.count) }

// Parse reads one line.
func Parse(line []byte) (Recorded, error) {
	if !bytes.Contains(line, []byte(`"kind":`)) {
		return Recorded{}, errOther
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	var r Recorded
	if err := decoder.Decode(&r.Record); err != nil {
		return r, fmt.Errorf("not JSON: %w", err)
	}
	if r.Kind == audit.KindGap {
		var gap audit.Gap
		if err := json.Unmarshal(line, &gap); err != nil {
			return r, fmt.Errorf("no gap that can be read: %w", err)
		}
		return r, gapError{gap.Count}
	}
	for name, value := range r.Inputs {
		r.Inputs[name] = policycli.NormalizeNumbers(value)
	}
	r.Request = r.request()
	if r.Sub != "" || r.Iss != "" {
		r.Claims = r.claims()
	}
	return r, nil
}

func (r Recorded) request() policy.Request {
	q := policy.Request{
		Caller: identity.Workload(r.Caller), Callee: identity.Workload(r.Callee), NoCaller: r.Kind != audit.KindCheck,
		Method: r.Method, Path: r.Path, Host: r.Host, Headers: map[string]string{}, Now: r.Time,
	}
	for name, value := range r.Inputs {
		header, isHeader := strings.CutPrefix(name, "request.headers.")
		switch value := value.(type) {
		case string:
			if isHeader {
				q.Headers[header] = value
			}
		case int64:
			if name == "request.port" {
				q.Port = uint32(min(max(value, 0), 1<<16-1))
			}
		case bool:
			if name == "request.no_caller" {
				q.NoCaller = value
			}
		}
	}
	return q
}

// claims are those that the record holds; all others are missing.
func (r Recorded) claims() *identity.Claims {
	c := &identity.Claims{Issuer: r.Iss, Subject: r.Sub, Txn: r.Txn}
	texts := map[string]*string{"aud": &c.Audience, "scope": &c.Scope, "req_wl": &c.Requester}
	objects := map[string]map[string]any{"tctx": {}, "rctx": {}}
	names := make([]string, 0, len(r.Inputs))
	for name := range r.Inputs {
		names = append(names, name)
	}
	slices.Sort(names) // an object comes before its members, which may then be set in it
	for _, name := range names {
		path := strings.Split(strings.TrimPrefix(name, "claims."), ".")
		if text, ok := r.Inputs[name].(string); ok && len(path) == 1 && texts[path[0]] != nil {
			*texts[path[0]] = text
		}
		if root, ok := objects[path[0]]; ok && strings.HasPrefix(name, "claims.") {
			objects[path[0]] = set(root, path[1:], r.Inputs[name])
		}
	}
	c.Tctx, c.Rctx = objects["tctx"], objects["rctx"]
	return c
}

// set puts a value at a path of members.
func set(object map[string]any, path []string, value any) map[string]any {
	if len(path) == 0 {
		whole, _ := value.(map[string]any)
		return whole
	}
	if object == nil {
		object = map[string]any{}
	}
	if len(path) == 1 {
		object[path[0]] = value
		return object
	}
	below, _ := object[path[0]].(map[string]any)
	object[path[0]] = set(below, path[1:], value)
	return object
}

// clipped names a field of which a part is missing. A path with bytes that are no
// UTF-8 stays ambiguous without them.
func (r Recorded) clipped() string {
	for _, field := range []struct{ name, value string }{{"method", r.Method}, {"path", r.Path}, {"host", r.Host}, {"caller", r.Caller}, {"callee", r.Callee}} {
		if strings.HasSuffix(field.value, "…") || field.name != "path" && mangled(field.value) {
			return field.name
		}
	}
	return ""
}

// byPolicies tells answers of documents from those that were given before any
// was asked: about a Check that cannot be read, or by the edge's own checks.
func (r Recorded) byPolicies() bool {
	switch reason := decision.Reason(r.Reason); reason {
	case decision.AmbiguousHeader, decision.NoCallee, decision.NoHTTP, decision.BadPrincipal, decision.ClientRefused, decision.Panic:
		return false
	case decision.Issued, decision.Anonymous:
		return true
	default:
		return r.Kind == audit.KindCheck || byRules(reason)
	}
}

// byRules are the reasons that only documents give.
func byRules(reason decision.Reason) bool {
	return slices.Contains([]decision.Reason{
		decision.RuleAllowed, decision.Public, decision.RuleDenied, decision.ConditionError, decision.NoRule, decision.Unguarded,
		decision.Unenforced, decision.Overridden, decision.OutageAllowed, decision.PolicyRefused, decision.AmbiguousPath, decision.AmbiguousMethod, decision.AmbiguousHost,
	}, reason)
}
