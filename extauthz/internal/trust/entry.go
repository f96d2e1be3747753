package trust

import (
	"context"

	"github.com/meshpass/meshpass/extauthz/internal/trust/jwks"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// Entry is a trust entry: an issuer, where its key set is, and what it may assert.
type Entry struct {
	Trust   token.Trust  // Keys is the key set of a file; nil with Remote
	Remote  *jwks.Config // the URL of the key set; nil: the key set is Trust.Keys
	Publish bool         // anyone may read the public keys from the authorizer
}

// trustEntry is an entry of the registry, with the source that follows its key set.
type trustEntry struct {
	config Entry
	source *jwks.Source       // nil: the key set is of a file
	stop   context.CancelFunc // ends source.Run; nil: it does not run
	keys   *keyset.PublicKeys // the whole set when the snapshot was made, with copies of other issuers' keys; nil: no usable set
}

func (e trustEntry) issuer() string { return e.config.Trust.Issuer }

func (e trustEntry) isHome() bool { return e.config.Trust.Home }

// currentKeys is the whole key set now; nil: no usable set.
func (e trustEntry) currentKeys() *keyset.PublicKeys {
	if e.source == nil {
		return e.config.Trust.Keys
	}
	return e.source.State().Keys
}
