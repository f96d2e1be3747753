package revocation_test

import (
	"fmt"
	"time"

	"github.com/meshpass/meshpass/shared/revocation"
)

// A user is signed out everywhere: tokens issued until now are revoked.
func Example() {
	const issuer = "https://tyk.example.com"
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	empty, err := revocation.NewEmptyList(now, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	list, changed, err := empty.WithEntries(now, revocation.Entry{
		Issuer: issuer, Kind: revocation.Sub, Value: "okta:alice",
		NotBefore: now, Expires: now.Add(6 * time.Minute), By: "ops", Reason: "laptop stolen",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(changed)
	fmt.Print(string(list.Document()))

	checker := revocation.Checker{Lists: []func() *revocation.List{func() *revocation.List { return list }}}
	before := revocation.Token{Issuer: issuer, Subject: "okta:alice", Issued: now.Add(-time.Minute)}
	after := revocation.Token{Issuer: issuer, Subject: "okta:alice", Issued: now.Add(time.Minute)}
	fmt.Printf("%q %q\n", checker.DenialReason(before, now), checker.DenialReason(after, now.Add(time.Minute)))
	// Output:
	// true
	// serial: 1780315200001
	// revocations:
	//   - {"issuer":"https://tyk.example.com","kind":"sub","value":"okta:alice","notBefore":"2026-06-01T12:00:00Z","expires":"2026-06-01T12:06:00Z","by":"ops","reason":"laptop stolen"}
	// "token_revoked" ""
}
