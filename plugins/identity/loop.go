package main

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/token"
)

// transaction is the caller's identity on its way from [SignIdentity] to [GuardUpstream], and on through
// the APIs of an internal loop (tyk://…), which enters a whole chain again with the same request.
type transaction struct {
	identity identity.Identity
	lifetime time.Duration
	edge     edgeDecision         // of the documents of the edge
	signer   *signer              // one configuration decides the whole request
	api      *tykapi.ProtectedAPI // whose hooks have found the identity
	step     transactionStep
}

// transactionStep is what the next hook may do with a transaction.
type transactionStep int

const (
	// passedGuard: a post hook has run. No token is signed any more; the next API of an internal loop must
	// find the same caller, and grants no more than this transaction.
	passedGuard transactionStep = iota

	// awaitsGuard: SignIdentity has left the transaction, and GuardUpstream of the same API signs for it.
	awaitsGuard
)

// transactionKey is the key of the transaction in the request's context. It is a private type, so
// nothing that a client sends can be read as a transaction; a header could.
type transactionKey struct{}

// transactionOf is nil if no hook has left one. The hooks of a request run one after another, so they
// may change it.
func transactionOf(r *http.Request) *transaction {
	t, _ := r.Context().Value(transactionKey{}).(*transaction)
	return t
}

func storeTransaction(r *http.Request, t *transaction) {
	*r = *r.WithContext(context.WithValue(r.Context(), transactionKey{}, t))
}

// continueTransaction continues the transaction of an earlier API of the same request, or begins one.
// The caller stays the same, and has only what both APIs grant.
func continueTransaction(r *http.Request, t *transaction) (*transaction, error) {
	before := transactionOf(r)
	if before == nil {
		t.identity.Txn = token.NewTxn()
		return t, nil
	}
	id, earlier := &t.identity, before.identity
	if earlier.Subject != id.Subject {
		return nil, denial.New(decision.LoopSubject, "signed as %s before the loop, is %s now", earlier.Subject, id.Subject)
	}
	id.Txn = earlier.Txn
	t.lifetime = min(t.lifetime, before.lifetime)
	id.Scopes = slices.DeleteFunc(slices.Clone(id.Scopes), func(scope string) bool {
		return !slices.Contains(earlier.Scopes, scope)
	})
	id.Claims = commonClaims(earlier.Claims, id.Claims)
	if id.NotAfter.IsZero() || !earlier.NotAfter.IsZero() && earlier.NotAfter.Before(id.NotAfter) {
		id.NotAfter = earlier.NotAfter
	}
	return t, nil
}

// commonClaims keeps the claims that both have with the same value.
func commonClaims(a, b map[string]any) map[string]any {
	both := map[string]any{}
	for name, value := range a {
		if other, ok := b[name]; ok && reflect.DeepEqual(value, other) {
			both[name] = value
		}
	}
	return both
}
