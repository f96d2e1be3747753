package ops

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// KeySets returns the public keys of an issuer, or of all issuers for the empty name. Data is nil
// for a known issuer without keys.
type KeySets func(issuer string) (data []byte, known bool)

// cacheControl of a published set has an age far below the lead of a new key.
const cacheControl = "public, max-age=60"

// ServeHTTP answers with the set of the query's issuer, or of all issuers. The document of all does
// not say which key is whose; its reader must know.
func (k KeySets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, known := k(r.URL.Query().Get("issuer"))
	switch {
	case !known:
		http.Error(w, "no key set is published here: see publish in the trust entries", http.StatusNotFound)
		return
	case data == nil: // an empty set would withdraw every key
		w.Header().Set("cache-control", "no-store")
		http.Error(w, "there are no keys now", http.StatusServiceUnavailable)
		return
	}
	sum := sha256.Sum256(data)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("etag", tag)
	w.Header().Set("cache-control", cacheControl)
	if r.Header.Get("if-none-match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("content-type", "application/jwk-set+json")
	w.Header().Set("x-content-type-options", "nosniff")
	_, _ = w.Write(data) // the reader may have gone: nothing is left to do
}
