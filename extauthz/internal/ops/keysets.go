package ops

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// KeySets gives the public keys of an issuer, or of all for the empty name. Nil
// data: it is known and has none now.
type KeySets func(issuer string) (data []byte, known bool)

// maxAge of a published set is far below the lead with which keys are published.
const maxAge = "public, max-age=60"

// ServeHTTP answers with the set of the query's issuer, or of all: the reader of
// the latter must know which key is whose, since the document does not say.
func (k KeySets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, known := k(r.URL.Query().Get("issuer"))
	switch {
	case !known:
		http.Error(w, "no key set is published here: see publish in the trust entries", http.StatusNotFound)
		return
	case data == nil: // an empty set would say that every key is withdrawn
		w.Header().Set("cache-control", "no-store")
		http.Error(w, "there are no keys now", http.StatusServiceUnavailable)
		return
	}
	sum := sha256.Sum256(data)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("etag", tag)
	w.Header().Set("cache-control", maxAge)
	if r.Header.Get("if-none-match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("content-type", "application/jwk-set+json")
	w.Header().Set("x-content-type-options", "nosniff")
	_, _ = w.Write(data) // a reader that went away is none of our concern
}
