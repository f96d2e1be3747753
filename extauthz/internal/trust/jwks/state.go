package jwks

import (
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// State is the state of a key set at one moment. It never changes.
type State struct {
	Keys        *keyset.PublicKeys // nil: no key may be used
	Fetched     time.Time          // when the last successful fetch began; zero: never
	Err         error              // why the last fetch failed; nil: it did not
	Unreachable uint64             // fetches that returned no document
	Rejected    uint64             // fetches whose document is not a usable key set
}

// rejectedError is the error of a document that was fetched and may not be used.
type rejectedError struct{ error }
