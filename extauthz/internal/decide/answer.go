package decide

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// Answer is what a proxy does with a request. The zero value denies.
type Answer struct {
	// Decision allows or denies the request: see [decision.Decision.Allowed].
	Decision decision.Decision

	// SetHeaders are set on an allowed request before it goes on. Each replaces every
	// header of its name.
	SetHeaders []Field

	// RemoveHeaders are the names of headers to remove from an allowed request. No name
	// is in SetHeaders too.
	RemoveHeaders []string

	// Status, Headers and Body are the response to a request that is denied: a status
	// of HTTP, headers that replace others of their names, and a body of
	// [decision.ProblemMediaType].
	Status  int
	Headers []Field
	Body    string

	// Metadata is what a log can say of the decision, in UTF-8. In Envoy it is dynamic
	// metadata: %DYNAMIC_METADATA(envoy.filters.http.ext_authz:NAME)%.
	Metadata []Field
}

// Field is a header or an entry of the metadata.
type Field struct{ Name, Value string }

func (e *evaluation) newAnswer() Answer {
	var answer Answer
	if e.decision.Allowed() {
		answer = e.allowed()
	} else {
		answer = e.denied()
	}
	answer.Metadata = e.metadata()
	return answer
}

// allowed lets the request go on: with the identity headers whose values come from a
// verified token, and without all others that only Meshpass may write, whichever rule
// allowed it. Envoy removes after it sets, so no name may be in both lists.
func (e *evaluation) allowed() Answer {
	set, withheld := e.decider.config.IdentityHeaders.fieldsOf(e.claims)
	e.withheld = withheld
	return Answer{
		Decision: e.decision, SetHeaders: set,
		RemoveHeaders: e.reading.headers.namesToRemove(e.claims != nil, e.decider.config.IdentityHeaders, set),
	}
}

// denied ends the request. The transaction is in the body only: the edge writes it in a
// header, and a header from each hop would double it.
func (e *evaluation) denied() Answer {
	reason := e.decision.Reason
	answer := Answer{
		Decision: e.decision, Status: e.decider.config.statusOf(reason.Class()),
		Headers: []Field{{"content-type", decision.ProblemMediaType}},
	}
	if answer.Status == http.StatusUnauthorized {
		answer.Headers = append(answer.Headers, Field{"www-authenticate", challenge(reason)})
	}
	txn := ""
	if e.claims != nil {
		txn = e.claims.Txn
	}
	answer.Body = string(decision.ProblemBody(answer.Status, reason, txn))
	return answer
}

// challenge is what a 401 must carry (RFC 9110 sections 11.6.1 and 15.5.2). The scheme
// is the token's header: a Bearer token in Authorization opens nothing at a hop.
func challenge(reason decision.Reason) string {
	return fmt.Sprintf("%s error=%q", identity.Header, string(reason))
}

// statusOf gives the HTTP status of a denial. Token failures are 403 unless the listener
// is configured for 401: a workload's client did not bring the token and cannot fix it.
func (c *Config) statusOf(class decision.Class) int {
	if class == decision.Unauthenticated {
		return c.TokenFailure
	}
	return class.Status()
}

// metadata lists what is known of the decision. decision_id is the id of the audit
// record. An unknown value is absent. Names are only ever added.
func (e *evaluation) metadata() []Field {
	fields := make([]Field, 0, 7)
	add := func(name, value string) {
		if value != "" {
			// Text that is not UTF-8 cannot be encoded in a proto. The answer would become
			// a gRPC error, which failOpen may turn into an allow.
			fields = append(fields, Field{name, strings.ToValidUTF8(value, "\uFFFD")})
		}
	}
	add("decision_id", e.id)
	add("reason", string(e.decision.Reason))
	add("policy", e.decision.Policy)
	add("folder", e.decision.Folder)
	add("rule", e.decision.Rule)
	if e.claims != nil {
		add("txn", e.claims.Txn)
		add("sub", e.claims.Subject)
	}
	return fields
}
