package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

// row is the outcome of a request at one layer, and its reason.
type row struct {
	layer, outcome, reason string
	denied                 bool
}

// describeRequest returns one line with the request, its sender and its receiver.
func describeRequest(r scenarios.Request) string {
	line := r.Method + " " + r.Path
	switch {
	case r.From != "":
		line += fmt.Sprintf(", to %s, from workload %s", r.To, r.From)
	case r.To != "gateway":
		line += fmt.Sprintf(", to the address of %s, in plaintext", r.To)
	case r.As == "":
		line += ", without a credential"
	default:
		line += ", as " + describeUser(r.As)
	}
	if names := slices.Sorted(maps.Keys(r.Headers)); len(names) > 0 {
		line += ", with forged " + strings.Join(names, ", ")
	}
	return line
}

// describeUser returns the holder of a credential.
func describeUser(credential string) string {
	user, kind, _ := strings.Cut(credential, "/")
	if kind == "id" {
		return user + " (ID token)"
	}
	return user
}

// rowsOf returns a row for each layer that the request reached.
func rowsOf(e scenarios.Exchange) []row {
	var all []row
	byTyk := e.Answer.AnsweredBy() == "tyk"
	if e.Request.To == "gateway" && !(byTyk && len(e.Records) == 0) {
		all = append(all, row{layer: "Tyk", outcome: "authenticated", reason: "as " + describeUser(e.Request.As)})
	}
	for _, record := range e.Records {
		all = append(all, recordRow(record))
	}
	if byTyk {
		all = append(all, row{layer: "Tyk", outcome: "denied", reason: e.Answer.BodyField("error") + "; the request does not reach the mesh", denied: true})
	}
	if e.Answer.Closed {
		all = append(all, row{layer: "Envoy of " + e.Request.To, outcome: "closed",
			reason: "STRICT accepts mutual TLS only; the request does not reach meshpass", denied: true})
		return all
	}
	return append(all, answerRow(e.Answer))
}

func recordRow(r scenarios.Record) row {
	denied := r.FieldText("decision") != "allow"
	switch {
	case r.FieldText("kind") != "check":
		return row{layer: "plugin", outcome: outcomeWord("signed", denied), reason: edgeReason(r, denied), denied: denied}
	case denied:
		return row{layer: hopName(r), outcome: "denied", reason: describeDenial(r), denied: true}
	default:
		return row{layer: hopName(r), outcome: "allowed", reason: fmt.Sprintf("%s/%s: %s", r.FieldText("policy"), r.FieldText("rule"), describeFacts(r))}
	}
}

func edgeReason(r scenarios.Record, denied bool) string {
	if denied {
		return r.FieldText("reason")
	}
	return fmt.Sprintf("a token for %s, transaction %s", r.FieldText("sub"), r.FieldText("txn"))
}

// describeDenial explains the reason of a denial at a hop.
func describeDenial(r scenarios.Record) string {
	switch r.FieldText("reason") {
	case "no_rule":
		return fmt.Sprintf("no_rule: no rule allows %s for %s", r.FieldText("path"), describeFacts(r))
	case "token_missing":
		return fmt.Sprintf("token_missing: %s sends no user's token", callerName(r))
	default:
		return r.FieldText("reason") + ": " + describeFacts(r)
	}
}

// describeFacts returns the facts of a hop's decision: caller, user, and the claims that the documents read.
func describeFacts(r scenarios.Record) string {
	text := callerName(r)
	if sub := r.FieldText("sub"); sub != "" {
		text += ", for " + sub
	}
	inputs, _ := r["inputs"].(map[string]any)
	var read []string
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		read = append(read, fmt.Sprintf("%s=%v", strings.TrimPrefix(name, "claims."), inputs[name]))
	}
	if len(read) > 0 {
		text += " (" + strings.Join(read, ", ") + ")"
	}
	return text
}

func answerRow(a scenarios.Answer) row {
	return row{layer: "client gets", outcome: fmt.Sprint(a.Status), reason: "from " + a.AnsweredBy(), denied: a.Status >= 400}
}

func outcomeWord(allowed string, denied bool) string {
	if denied {
		return "denied"
	}
	return allowed
}

// hopName returns the name of the callee's hop: orders hop for ns/shop/sa/orders.
func hopName(r scenarios.Record) string { return lastSegment(r.FieldText("callee")) + " hop" }

func callerName(r scenarios.Record) string { return lastSegment(r.FieldText("caller")) }

func lastSegment(workload string) string { return workload[strings.LastIndex(workload, "/")+1:] }
