package keyset_test

import (
	"fmt"
	"os"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// A gateway makes a key and publishes it. A hop reads the published key set.
func Example() {
	dir, err := os.MkdirTemp("", "keyset")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	kid, err := keyset.CreateKey(dir, keyset.ES256, keyset.Plan{
		PublishAt: now, SignFrom: now.Add(time.Hour), // every hop has read the key set by then
		SignUntil: now.AddDate(0, 0, 30), RemoveAfter: now.AddDate(0, 0, 31),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := keyset.LoadSigningKeys(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(keys.StateOf(keys.Keys()[0], now))
	_, err = keys.Current(now)
	fmt.Println(err)

	current, err := keys.Current(now.Add(time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(current.Algorithm(), current.ID() == kid)

	document, err := keys.JWKS(now)
	if err != nil {
		fmt.Println(err)
		return
	}
	public, err := keyset.ParseJWKS(document)
	if err != nil {
		fmt.Println(err)
		return
	}
	signature, err := current.Sign([]byte("input"))
	if err != nil {
		fmt.Println(err)
		return
	}
	key, known := public.KeyByID(kid)
	fmt.Println(known, key.Verify([]byte("input"), signature), key.Verify([]byte("other"), signature))
	// Output:
	// published
	// no key may sign now
	// ES256 true
	// true <nil> signature does not verify
}

// A set with a private key is rejected, and the error does not quote it.
func ExampleParseJWKS() {
	_, err := keyset.ParseJWKS([]byte(`{"keys":[{"kty":"EC","crv":"P-256","d":"c2VjcmV0"}]}`))
	fmt.Println(err)
	// Output:
	// key set: key 1: a private key: publish the public half, and replace this key, which is no longer secret
}
