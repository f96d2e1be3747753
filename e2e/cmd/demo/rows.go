package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

// row is what one layer did with a request, and why.
type row struct {
	layer, outcome, reason string
	denied                 bool
}

// describeRequest says in one line who sent what to whom.
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

// describeUser names the holder of a credential.
func describeUser(credential string) string {
	user, kind, _ := strings.Cut(credential, "/")
	if kind == "id" {
		return user + " (ID token)"
	}
	return user
}

// rowsOf tells the way of a request, layer by layer, as far as it came.
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
		all = append(all, row{"Tyk", "refused", e.Answer.BodyField("error") + "; the mesh is never asked", true})
	}
	if e.Answer.Closed {
		all = append(all, row{"Envoy of " + e.Request.To, "closed", "STRICT admits mutual TLS only; meshpass is never asked", true})
		return all
	}
	return append(all, answerRow(e.Answer))
}

func recordRow(r scenarios.Record) row {
	refused := r.FieldText("decision") != "allow"
	switch {
	case r.FieldText("kind") != "check":
		return row{"plugin", outcomeWord("signed", refused), edgeReason(r, refused), refused}
	case refused:
		return row{hopName(r), "refused", describeDenial(r), true}
	default:
		return row{hopName(r), "allowed", fmt.Sprintf("%s/%s: %s", r.FieldText("policy"), r.FieldText("rule"), describeFacts(r)), false}
	}
}

func edgeReason(r scenarios.Record, refused bool) string {
	if refused {
		return r.FieldText("reason")
	}
	return fmt.Sprintf("a token for %s, transaction %s", r.FieldText("sub"), r.FieldText("txn"))
}

// describeDenial puts a hop's reason into words.
func describeDenial(r scenarios.Record) string {
	switch r.FieldText("reason") {
	case "no_rule":
		return fmt.Sprintf("no_rule: nothing allows %s to %s", r.FieldText("path"), describeFacts(r))
	case "token_missing":
		return fmt.Sprintf("token_missing: %s speaks for nobody", callerName(r))
	default:
		return r.FieldText("reason") + ": " + describeFacts(r)
	}
}

// describeFacts are what a hop decided by: who calls, for whom, and what the policies read of the claims.
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
	return row{"client gets", fmt.Sprint(a.Status), "from " + a.AnsweredBy(), a.Status >= 400}
}

func outcomeWord(fine string, refused bool) string {
	if refused {
		return "refused"
	}
	return fine
}

// hopName is the called workload's short name: ns/shop/sa/orders → orders' hop.
func hopName(r scenarios.Record) string { return lastSegment(r.FieldText("callee")) + " hop" }

func callerName(r scenarios.Record) string { return lastSegment(r.FieldText("caller")) }

func lastSegment(workload string) string { return workload[strings.LastIndex(workload, "/")+1:] }
