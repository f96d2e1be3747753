package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/meshpass/meshpass/extauthz/internal/auditverify"
	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Record is an audit record of a decision, read back as the request that was decided.
type Record struct {
	Audit   audit.Record
	Request policy.Request      // as far as the record holds it
	Claims  *identity.Claims    // of a verified token; nil: no such token, or no document looked at it
	Shadows []decision.Decision // the shadow answers, the nearest first
}

// ErrOtherLine is the error of a line that is not an audit record, such as a line of a
// log that goes to the same place.
var ErrOtherLine = errors.New("no audit record")

// errCheckpoint is the error of a line that signs the lines before it, and is no decision.
var errCheckpoint = fmt.Errorf("%w: a checkpoint", ErrOtherLine)

// GapError is the error of a line that counts records which are missing.
type GapError struct{ Count uint64 }

func (g GapError) Error() string { return fmt.Sprintf("%d records are missing", g.Count) }

// FindRecords returns the records with an id: that of the record, of the request, or of
// the transaction. With an empty id it returns all records. Lines that cannot be read are
// skipped.
func FindRecords(lines io.Reader, id string) ([]Record, error) {
	var found []Record
	err := auditverify.ReadLines(lines, func(_ int, line []byte, _ bool) {
		r, err := ParseRecord(line)
		if err == nil && (id == "" || slices.Contains([]string{r.Audit.ID, r.Audit.RequestID, r.Audit.Txn}, id)) {
			found = append(found, r)
		}
	})
	return found, err
}

// ParseRecord reads one line of the audit trail.
func ParseRecord(line []byte) (Record, error) {
	if !bytes.Contains(line, []byte(`"kind":`)) {
		return Record{}, ErrOtherLine
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	var r Record
	if err := decoder.Decode(&r.Audit); err != nil {
		return r, fmt.Errorf("not JSON: %w", err)
	}
	switch r.Audit.Kind {
	case audit.KindCheck, audit.KindEdge, audit.KindIssue:
	case audit.KindCheckpoint:
		return r, errCheckpoint
	case audit.KindGap:
		var gap audit.Gap
		if err := json.Unmarshal(line, &gap); err != nil {
			return r, fmt.Errorf("no gap that can be read: %w", err)
		}
		return r, GapError{gap.Count}
	default:
		if r.Audit.Decision == "" || r.Audit.Reason == "" { // else a record of a later version
			return r, ErrOtherLine
		}
	}
	for name, value := range r.Audit.Inputs {
		r.Audit.Inputs[name] = policycli.NormalizeNumbers(value)
	}
	r.Audit.Inputs, r.Audit.Unrecorded = dropMaskedInputs(r.Audit)
	r.Request = readRequest(r.Audit)
	if r.Audit.Sub != "" || r.Audit.Iss != "" {
		r.Claims = readClaims(r.Audit)
	}
	r.Shadows = readShadows(r.Audit)
	return r, nil
}

// dropMaskedInputs returns the inputs that have their own value, and the names of all that a
// record does not hold.
func dropMaskedInputs(a audit.Record) (inputs map[string]any, unrecorded []string) {
	inputs, unrecorded = map[string]any{}, a.Unrecorded
	for name, value := range a.Inputs {
		if a.MasksInput(name) {
			unrecorded = append(unrecorded, name)
		} else {
			inputs[name] = value
		}
	}
	slices.Sort(unrecorded)
	return inputs, unrecorded
}

// reason returns the recorded reason. It may be unknown to this version.
func (r Record) reason() decision.Reason { return decision.Reason(r.Audit.Reason) }

// readRequest returns the request with the attributes that the record holds. All others
// are missing in it.
func readRequest(a audit.Record) policy.Request {
	q := policy.Request{
		Caller: identity.Workload(a.Caller), Callee: identity.Workload(a.Callee), NoCaller: a.Kind != audit.KindCheck,
		Method: a.Method, Path: a.Path, Host: a.Host, Headers: map[string]string{}, Now: a.Time,
	}
	q.SetInputs(a.Inputs)
	return q
}

// readClaims returns the claims that the record holds. All others are missing in them.
func readClaims(a audit.Record) *identity.Claims {
	c := &identity.Claims{Issuer: a.Iss, Subject: a.Sub, Txn: a.Txn}
	members := map[string]map[string]any{"tctx": {}, "rctx": {}}
	names := make([]string, 0, len(a.Inputs))
	for name := range a.Inputs {
		names = append(names, name)
	}
	slices.Sort(names) // an object comes before its members, which may then be set in it
	for _, name := range names {
		value := a.Inputs[name]
		text, _ := value.(string)
		switch name {
		case "claims.aud":
			c.Audience = text
		case "claims.scope":
			c.Scope = text
		case "claims.req_wl":
			c.Requester = text
		}
		claim, isClaim := strings.CutPrefix(name, "claims.")
		path := strings.Split(claim, ".")
		if root, isObject := members[path[0]]; isClaim && isObject {
			members[path[0]] = setMember(root, path[1:], value)
		}
	}
	c.Tctx, c.Rctx = members["tctx"], members["rctx"]
	return c
}

// setMember sets the value at a path of members, and returns the object.
func setMember(object map[string]any, path []string, value any) map[string]any {
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
	object[path[0]] = setMember(below, path[1:], value)
	return object
}

// readShadows returns the shadow answers of a record. It leaves out texts that this
// version cannot read: no documents of this version can give such an answer.
func readShadows(a audit.Record) []decision.Decision {
	var all []decision.Decision
	for _, text := range a.Shadow {
		if d, err := decision.ParseShadow(text); err == nil {
			all = append(all, d)
		}
	}
	return all
}

// decidedByDocuments reports whether documents gave the answer. Other answers are given
// before any document is asked: to a Check that cannot be read, or by the edge itself.
func (r Record) decidedByDocuments() bool {
	switch reason := r.reason(); reason {
	case decision.AmbiguousHeader, decision.NoCallee, decision.NoHTTP, decision.BadPrincipal, decision.ClientRefused, decision.Panic,
		decision.Overloaded, decision.DeadlineExceeded, decision.CheckTooLarge, decision.TooManyHeaders, decision.AuditUnavailable:
		return false
	case decision.Issued, decision.Anonymous:
		return true
	default:
		return r.Audit.Kind == audit.KindCheck || isDocumentReason(reason)
	}
}

// isDocumentReason reports whether only documents give the reason.
func isDocumentReason(reason decision.Reason) bool {
	return slices.Contains([]decision.Reason{
		decision.RuleAllowed, decision.Public, decision.RuleDenied, decision.ConditionError, decision.NoRule, decision.Unguarded,
		decision.Unenforced, decision.Overridden, decision.OutageAllowed, decision.PolicyRefused, decision.AmbiguousPath, decision.AmbiguousMethod, decision.AmbiguousHost,
	}, reason)
}

// describeMissing describes a part of the request that the record does not hold and without
// which no document can be asked, or returns an empty text.
func (r Record) describeMissing() string {
	if field := r.maskedField(); field != "" {
		return fmt.Sprintf("the %s of the record is masked", field)
	}
	if field := r.clippedField(); field != "" {
		return fmt.Sprintf("the record does not hold all of the %s", field)
	}
	return ""
}

// maskedField returns the name of a masked field of the request, or an empty text. Inputs
// and the subject are not meant here: documents may not read them.
func (r Record) maskedField() string {
	for _, field := range []string{"caller", "path", "host"} {
		if slices.Contains(r.Audit.Masked, field) {
			return field
		}
	}
	return ""
}

// clippedField returns the name of a field that the record does not hold in full, or an
// empty text. Bytes of a path that are not UTF-8 do not count: the path is ambiguous
// without them too.
func (r Record) clippedField() string {
	for _, field := range []struct{ name, value string }{
		{"method", r.Audit.Method}, {"path", r.Audit.Path}, {"host", r.Audit.Host}, {"caller", r.Audit.Caller}, {"callee", r.Audit.Callee},
	} {
		if strings.HasSuffix(field.value, "…") || field.name != "path" && hasLostBytes(field.value) {
			return field.name
		}
	}
	return ""
}

// hasLostBytes reports whether a value is a text that had bytes which are not UTF-8. JSON
// cannot hold such bytes.
func hasLostBytes(value any) bool {
	text, _ := value.(string)
	return strings.ContainsRune(text, utf8.RuneError)
}
