package main

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// earlier is the key under which the request remembers for whom we signed. It is
// a private type and the memory is the request's context, so nothing that a
// client sends can look like it. A header could.
type earlier struct{}

// transaction is what the first API of a loop has put into its token.
type transaction struct {
	identity.Identity
	lifetime time.Duration
}

// remember keeps the identity for the next API of an internal loop (tyk://…),
// which re-enters a whole chain with this same request.
func remember(r *http.Request, id transaction) {
	*r = *r.WithContext(context.WithValue(r.Context(), earlier{}, id))
}

// resume continues the transaction of an earlier API of the same request. The
// caller stays who they were, and holds only what both APIs grant.
func resume(r *http.Request, id transaction) (transaction, error) {
	before, looped := r.Context().Value(earlier{}).(transaction)
	if !looped {
		return id, nil
	}
	if before.Subject != id.Subject {
		return transaction{}, refuse(decision.LoopSubject, "signed as %s before the loop, is %s now", before.Subject, id.Subject)
	}
	id.Txn = before.Txn
	id.lifetime = min(id.lifetime, before.lifetime)
	id.Scopes = slices.DeleteFunc(slices.Clone(id.Scopes), func(scope string) bool {
		return !slices.Contains(before.Scopes, scope)
	})
	id.Claims = common(before.Claims, id.Claims)
	if id.NotAfter.IsZero() || !before.NotAfter.IsZero() && before.NotAfter.Before(id.NotAfter) {
		id.NotAfter = before.NotAfter
	}
	return id, nil
}

// common keeps the members that both have with the same value.
func common(a, b map[string]any) map[string]any {
	both := map[string]any{}
	for name, value := range a {
		if other, ok := b[name]; ok && reflect.DeepEqual(value, other) {
			both[name] = value
		}
	}
	return both
}
