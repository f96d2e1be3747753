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
	layer, verdict, why string
	refused             bool
}

// sent describes in one line the sender, the request and the receiver.
func sent(r scenarios.Request) string {
	line := r.Method + " " + r.Path
	switch {
	case r.From != "":
		line += fmt.Sprintf(", to %s, from workload %s", r.To, r.From)
	case r.To != "gateway":
		line += fmt.Sprintf(", to the address of %s, in plaintext", r.To)
	case r.As == "":
		line += ", without a credential"
	default:
		line += ", as " + who(r.As)
	}
	if names := slices.Sorted(maps.Keys(r.Headers)); len(names) > 0 {
		line += ", with forged " + strings.Join(names, ", ")
	}
	return line
}

// who names the holder of a credential.
func who(credential string) string {
	user, kind, _ := strings.Cut(credential, "/")
	if kind == "id" {
		return user + " (ID token)"
	}
	return user
}

// rows tells the way of a request, layer by layer, as far as it came.
func rows(e scenarios.Exchange) []row {
	var all []row
	byTyk := e.Answer.AnsweredBy() == "tyk"
	if e.Request.To == "gateway" && !(byTyk && len(e.Records) == 0) {
		all = append(all, row{layer: "Tyk", verdict: "authenticated", why: "as " + who(e.Request.As)})
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
		return row{"plugin", verdict("signed", refused), edgeReason(r, refused), refused}
	case refused:
		return row{hop(r), "refused", denial(r), true}
	default:
		return row{hop(r), "allowed", fmt.Sprintf("%s/%s: %s", r.FieldText("policy"), r.FieldText("rule"), facts(r)), false}
	}
}

func edgeReason(r scenarios.Record, refused bool) string {
	if refused {
		return r.FieldText("reason")
	}
	return fmt.Sprintf("a token for %s, transaction %s", r.FieldText("sub"), r.FieldText("txn"))
}

// denial puts a hop's reason into words.
func denial(r scenarios.Record) string {
	switch r.FieldText("reason") {
	case "no_rule":
		return fmt.Sprintf("no_rule: nothing allows %s to %s", r.FieldText("path"), facts(r))
	case "token_missing":
		return fmt.Sprintf("token_missing: %s speaks for nobody", caller(r))
	default:
		return r.FieldText("reason") + ": " + facts(r)
	}
}

// facts are the inputs of a hop's decision: the caller, the user, and the claims that the policies read.
func facts(r scenarios.Record) string {
	text := caller(r)
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

func verdict(fine string, refused bool) string {
	if refused {
		return "refused"
	}
	return fine
}

// hop is the called workload's short name: ns/shop/sa/orders → orders' hop.
func hop(r scenarios.Record) string { return last(r.FieldText("callee")) + " hop" }

func caller(r scenarios.Record) string { return last(r.FieldText("caller")) }

func last(workload string) string { return workload[strings.LastIndex(workload, "/")+1:] }
