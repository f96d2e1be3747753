package main

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/token"
)

// earlier is the key under which the request remembers for whom we sign. It is
// a private type and the memory is the request's context, so nothing that a
// client sends can look like it. A header could.
type earlier struct{}

// transaction is for whom a token is to be signed, and by whom.
type transaction struct {
	identity.Identity
	lifetime time.Duration
	signer   *signer // one configuration judges the whole request
	verdict  verdict // of the documents of the edge
	api      *api    // whose hooks found the identity; nil: the token was asked for
}

// remember keeps the identity for [GuardUpstream], and for the next API of an
// internal loop (tyk://…), which re-enters a whole chain with this same request.
func remember(r *http.Request, t transaction) {
	*r = *r.WithContext(context.WithValue(r.Context(), earlier{}, t))
}

// take gives what [SignIdentity] has left for the post hook of the same API,
// once: an API behind a loop finds nothing of the API before it.
func take(r *http.Request) (transaction, bool) {
	t, ok := r.Context().Value(earlier{}).(transaction)
	if !ok || t.api == nil {
		return t, false
	}
	left := t
	left.api = nil
	remember(r, left)
	d, err := definitionOf(r)
	return t, err == nil && d.source == t.api.source
}

// resume continues the transaction of an earlier API of the same request. The
// caller stays who they were, and holds only what both APIs grant.
func resume(r *http.Request, id transaction) (*transaction, error) {
	before, looped := r.Context().Value(earlier{}).(transaction)
	if !looped {
		id.Txn = token.NewTxn()
		return &id, nil
	}
	if before.Subject != id.Subject {
		return nil, refuse(decision.LoopSubject, "signed as %s before the loop, is %s now", before.Subject, id.Subject)
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
	return &id, nil
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
