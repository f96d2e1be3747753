package meshpass_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// recordVersion makes the files of a new version, once: go test -run TestCompatibility -record 0.2 .
var recordVersion = flag.String("record", "", "record the `version` in testdata/compat, which must not have it yet")

const compatFolder = "testdata/compat"

// recordedToken is a token that a version has made, and what a verifier says of it at a time.
type recordedToken struct {
	Name    string     `json:"name"`
	Token   string     `json:"token"`
	At      time.Time  `json:"at"`
	Revoked bool       `json:"revoked,omitempty"` // with the recorded list of revocations
	NoTest  bool       `json:"noTest,omitempty"`  // by a verifier that accepts no test tokens, as in production
	Reason  string     `json:"reason,omitempty"`  // absent: accepted
	Claims  *claimsRow `json:"claims,omitempty"`
}

type claimsRow struct {
	Issuer    string         `json:"iss"`
	Audience  string         `json:"aud"`
	Subject   string         `json:"sub"`
	Txn       string         `json:"txn"`
	Scope     string         `json:"scope"`
	Requester string         `json:"req_wl"`
	Issued    int64          `json:"iat"`
	Expires   int64          `json:"exp"`
	Tctx      map[string]any `json:"tctx"`
	Rctx      map[string]any `json:"rctx"`
}

const (
	compatIssuer    = "https://tyk.compat.meshpass.dev"
	compatAudience  = "compat.meshpass.dev"
	compatRequester = "spiffe://cluster.local/ns/edge/sa/tyk-gateway"
)

var compatDomains = identity.TrustDomains{Local: "cluster.local"}

// TestCompatibility: this version reads the keys, tokens and revocations of each version before it, with the recorded results.
// extauthz/cmd/meshpass has the test for policies, audit records and configurations (compat.txtar).
func TestCompatibility(t *testing.T) {
	if *recordVersion != "" {
		recordCompatibility(t, filepath.Join(compatFolder, *recordVersion))
	}
	versions, err := filepath.Glob(filepath.Join(compatFolder, "*", "tokens.json"))
	if err != nil || len(versions) == 0 {
		t.Fatalf("no versions in %s (%v)", compatFolder, err)
	}
	for _, file := range versions {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var rows []recordedToken
			must(t, json.Unmarshal([]byte(readFile(t, file)), &rows))
			accepted := 0
			for _, row := range rows {
				t.Run(row.Name, func(t *testing.T) {
					got := verifyRecorded(t, dir, row)
					if got.Reason != row.Reason || !reflect.DeepEqual(got.Claims, row.Claims) {
						t.Errorf("got reason %q and claims %+v\nwant reason %q and claims %+v", got.Reason, got.Claims, row.Reason, row.Claims)
					}
				})
				if row.Reason == "" {
					accepted++
				}
			}
			if accepted == 0 || accepted == len(rows) {
				t.Errorf("%d of %d tokens are accepted", accepted, len(rows))
			}
			keys := loadRecordedKeys(t, dir)
			if !keys.IsTest() {
				t.Error("the keys are not marked as test keys")
			}
			set, err := keys.JWKS(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
			must(t, err)
			if published := readFile(t, filepath.Join(dir, "jwks.json")); !reflect.DeepEqual(decodeJSON(t, set), decodeJSON(t, []byte(published))) {
				t.Errorf("the key set is now\n%s\nand was\n%s", set, published)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func decodeJSON(t *testing.T, text []byte) (value any) {
	t.Helper()
	must(t, json.Unmarshal(text, &value))
	return value
}

// verifyRecorded gives the row as a verifier sees its token now.
func verifyRecorded(t *testing.T, dir string, row recordedToken) recordedToken {
	t.Helper()
	keys, err := keyset.ParseJWKS([]byte(readFile(t, filepath.Join(dir, "jwks.json"))))
	must(t, err)
	list, err := revocation.ReadFile(filepath.Join(dir, "revocations.yaml"))
	must(t, err)
	options := token.Options{AllowTest: !row.NoTest, Now: func() time.Time { return row.At }}
	if row.Revoked {
		options.Revocations = revocation.Checker{Lists: []func() *revocation.List{func() *revocation.List { return list }}}
	}
	verifier, err := token.NewVerifier([]token.Trust{{
		Issuer: compatIssuer, Audience: compatAudience, Algorithms: keyset.Algorithms(), Keys: keys,
		MaxLifetime: token.MaxLifetime, Leeway: token.DefaultLeeway, Subjects: token.Only("idp"), Requesters: token.Only[identity.Workload]("ns/edge/sa/tyk-gateway"),
	}}, compatDomains, options)
	must(t, err)
	claims, err := verifier.Verify(row.Token)
	row.Reason, row.Claims = "", nil
	if err != nil {
		row.Reason = string(token.ReasonOf(err))
		return row
	}
	row.Claims = &claimsRow{
		claims.Issuer, claims.Audience, claims.Subject, claims.Txn, claims.Scope, claims.Requester,
		claims.IssuedAt.Unix(), claims.Expires.Unix(), claims.Tctx, claims.Rctx,
	}
	text, err := json.Marshal(row) // the numbers become what they are in the recorded file
	must(t, err)
	var read recordedToken
	must(t, json.Unmarshal(text, &read))
	return read
}

// loadRecordedKeys copies the keys, because Git does not keep that only their owner may read them.
func loadRecordedKeys(t *testing.T, dir string) *keyset.SigningKeys {
	t.Helper()
	private := t.TempDir()
	files, err := filepath.Glob(filepath.Join(dir, "keys", "*"))
	must(t, err)
	for _, file := range files {
		must(t, os.WriteFile(filepath.Join(private, filepath.Base(file)), []byte(readFile(t, file)), 0o600))
	}
	keys, err := keyset.LoadSigningKeys(private)
	must(t, err)
	return keys
}

// recordCompatibility makes keys, tokens and revocations. The other files of a version are copied by people.
func recordCompatibility(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(dir, "keys"), 0o755))
	if _, err := os.Stat(filepath.Join(dir, "tokens.json")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s has tokens already (%v): a recorded version never changes", dir, err)
	}
	year := func(n int) time.Time { return time.Date(n, 1, 1, 0, 0, 0, 0, time.UTC) }
	for i, algorithm := range keyset.Algorithms() {
		_, err := keyset.CreateTestKey(filepath.Join(dir, "keys"), algorithm, keyset.Plan{
			PublishAt: year(2026), SignFrom: year(2027 + i), SignUntil: year(2028 + i), RemoveAfter: year(2100),
		})
		must(t, err)
	}
	keys := loadRecordedKeys(t, dir)
	set, err := keys.JWKS(year(2027))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "jwks.json"), set, 0o644))

	var rows []recordedToken
	var ofOne []string // kids
	for i, algorithm := range keyset.Algorithms() {
		at := year(2027 + i).Add(time.Hour)
		key, err := keys.Current(at)
		must(t, err)
		ofOne = append(ofOne, key.ID())
		minter, err := token.NewMinter(token.MinterConfig{Issuer: compatIssuer, Audience: compatAudience, Lifetime: time.Minute, MinRemaining: time.Second,
			Keys: keys, Test: true, Now: func() time.Time { return at }})
		must(t, err)
		for _, user := range []string{"alice", "bob"} {
			raw, _, err := minter.Mint(identity.Identity{
				Txn: fmt.Sprintf("0197a1b2-000%d-7000-8000-000000000001", i), Subject: identity.Subject{Namespace: "idp", ID: user}, Scopes: []string{"orders.read", "orders.write"},
				Requester: compatRequester, API: identity.API{ID: "orders", Name: "Orders"}, Org: "demo", Method: "jwt", SessionID: user + "-session",
				Claims: map[string]any{"tenant": "acme", "groups": []string{"staff"}, "level": int64(3), "active": true}, IP: "192.0.2.7", AuthTime: at.Add(-time.Minute),
			})
			must(t, err)
			name := algorithm + " " + user
			rows = append(rows, recordedToken{Name: name, Token: raw, At: at.Add(time.Second)}, recordedToken{Name: name + ", with the list", Token: raw, At: at.Add(time.Second), Revoked: true})
			if user == "bob" {
				continue
			}
			changed := []byte(raw)
			signature := bytes.LastIndexByte(changed, '.') + 1
			changed[signature] = 'A'
			if raw[signature] == 'A' {
				changed[signature] = 'B'
			}
			rows = append(rows, recordedToken{Name: name + ", later", Token: raw, At: at.Add(2 * time.Minute)}, recordedToken{Name: name + ", too early", Token: raw, At: at.Add(-time.Minute)},
				recordedToken{Name: name + ", in production", Token: raw, At: at.Add(time.Second), NoTest: true}, recordedToken{Name: name + ", changed", Token: string(changed), At: at.Add(time.Second)})
		}
	}
	entries := []map[string]any{
		{"issuer": compatIssuer, "kind": "sub", "value": "idp:bob", "notBefore": year(2027).Add(2 * time.Hour), "expires": year(2099), "by": "test", "reason": "left"},
		{"issuer": compatIssuer, "kind": "txn", "value": "0197a1b2-0001-7000-8000-000000000001", "expires": year(2099), "by": "test", "reason": "leaked"},
		{"issuer": compatIssuer, "kind": "kid", "value": ofOne[2], "expires": year(2099), "by": "test", "reason": "leaked"},
		{"issuer": compatIssuer, "kind": "sid", "value": "another-session", "notBefore": year(2030), "expires": year(2099), "by": "test", "reason": "signed out"},
	}
	list, err := yaml.Marshal(map[string]any{"serial": 4, "revocations": entries})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "revocations.yaml"), list, 0o644))
	for i := range rows {
		rows[i] = verifyRecorded(t, dir, rows[i])
	}
	text, err := json.MarshalIndent(rows, "", "  ")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "tokens.json"), append(text, '\n'), 0o644))
}
