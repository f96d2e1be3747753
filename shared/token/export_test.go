package token

import "testing"

// Rebuilt decodes a token and encodes it again.
func Rebuilt(raw string) (string, error) {
	p, err := parse(raw, MaxBytes)
	if err != nil {
		return "", err
	}
	header := p.signingInput[:len(p.signingInput)-len(strictBase64.EncodeToString(p.payload))]
	return string(header) + strictBase64.EncodeToString(p.payload) + "." + strictBase64.EncodeToString(p.signature), nil
}

// Cached returns the number of tokens in the cache of this verifier.
func (v *Verifier) Cached() int {
	younger, older, own := v.cache.generations()
	if !own {
		return 0
	}
	return younger.tokens.ItemCount() + older.tokens.ItemCount()
}

// Remembers reports whether the token is cached, and uses it.
func (v *Verifier) Remembers(raw string) bool {
	_, hit := v.cache.lookup(raw)
	return hit
}

// Accepting returns a function that stores any text in the cache as if it were the valid
// token, without the work of signing.
func Accepting(t testing.TB, v *Verifier, valid string) func(raw string) {
	t.Helper()
	a, err := v.verifySigned(valid)
	if err != nil {
		t.Fatal(err)
	}
	return func(raw string) { v.cache.store(raw, a) }
}
