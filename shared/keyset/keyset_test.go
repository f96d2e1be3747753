package keyset_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/meshpass/meshpass/shared/keyset"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func plan(from time.Time) keyset.Plan {
	return keyset.Plan{PublishAt: from.Add(-time.Hour), SignFrom: from, SignUntil: from.Add(2 * time.Hour), RemoveAfter: from.Add(3 * time.Hour)}
}

func add(t *testing.T, dir, algorithm string, p keyset.Plan) string {
	t.Helper()
	kid, err := keyset.New(dir, algorithm, p)
	if err != nil {
		t.Fatal(err)
	}
	return kid
}

func TestStateIsAFunctionOfTheClock(t *testing.T) {
	dir := t.TempDir()
	old, next := add(t, dir, keyset.ES256, plan(noon)), add(t, dir, keyset.EdDSA, plan(noon.Add(time.Hour)))
	keys, err := keyset.LoadSigning(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name      string
		after     time.Duration
		signs     string
		published []string
		states    string // of the old key and the next
	}{
		{"before everything", -2 * time.Hour, "", nil, "planned planned"},
		{"published, not yet signing", -time.Second, "", []string{old}, "published planned"},
		{"signing", 0, old, []string{old, next}, "signing published"},
		{"the newest signs", time.Hour, next, []string{old, next}, "retiring signing"},
		{"the old one may no more", 2 * time.Hour, next, []string{old, next}, "retiring signing"},
		{"the old one is gone", 3 * time.Hour, "", []string{next}, "removed retiring"},
		{"nobody signs", 3*time.Hour + 1, "", []string{next}, "removed retiring"},
		{"all gone", 4 * time.Hour, "", nil, "removed removed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			now := noon.Add(row.after)
			key, err := keys.Current(now)
			if err == nil && (!key.Plan().Signs(now) || keys.State(key, now) != keyset.StateSigning) {
				t.Errorf("the plan of %s says otherwise", key.ID())
			}
			if got := states(keys, now, old, next); got != row.states {
				t.Errorf("states %s, want %s", got, row.states)
			}
			if row.signs == "" && !errors.Is(err, keyset.ErrNoKey) || row.signs != "" && (err != nil || key.ID() != row.signs) {
				t.Errorf("signs: got %v, %v", key, err)
			}
			document, err := keys.JWKS(now)
			if err != nil {
				t.Fatal(err)
			}
			for _, kid := range []string{old, next} {
				want := false
				for _, p := range row.published {
					want = want || p == kid
				}
				if got := strings.Contains(string(document), kid); got != want {
					t.Errorf("%s published: %v, want %v", kid, got, want)
				}
			}
		})
	}
}

func states(keys *keyset.Signing, now time.Time, kids ...string) string {
	var all []string
	for _, kid := range kids {
		for _, key := range keys.Keys() {
			if key.ID() == kid {
				all = append(all, string(keys.State(key, now)))
			}
		}
	}
	return strings.Join(all, " ")
}

func TestTheDocumentHoldsNoPrivateMember(t *testing.T) {
	dir := t.TempDir()
	for _, algorithm := range keyset.Algorithms() {
		add(t, dir, algorithm, plan(noon))
	}
	keys, err := keyset.LoadSigning(dir)
	if err != nil {
		t.Fatal(err)
	}
	document, err := keys.JWKS(noon)
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(document, &set); err != nil || len(set.Keys) != 3 {
		t.Fatalf("%s: %v", document, err)
	}
	public := map[string]bool{"kty": true, "kid": true, "alg": true, "use": true, "crv": true, "x": true, "y": true, "n": true, "e": true}
	for _, key := range set.Keys {
		for name := range key {
			if !public[name] {
				t.Errorf("member %q is published", name)
			}
		}
	}
}

func TestNewFilesAreForTheOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	kid := add(t, dir, keyset.ES256, plan(noon))
	for _, name := range []string{kid + ".pem", "keys.yaml"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// Whoever may read keys.yaml may read it after a new key too.
func TestNewKeepsThePermissionsOfThePlan(t *testing.T) {
	dir := t.TempDir()
	first := add(t, dir, keyset.ES256, plan(noon))
	if err := os.Chmod(filepath.Join(dir, "keys.yaml"), 0o640); err != nil {
		t.Fatal(err)
	}
	second := add(t, dir, keyset.ES256, plan(noon.Add(time.Hour)))
	for name, want := range map[string]os.FileMode{"keys.yaml": 0o640, first + ".pem": 0o600, second + ".pem": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want %v", name, info, err, want)
		}
	}
}

func TestDirectoriesThatAreRefused(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(t *testing.T, dir, kid string)
		want   string
	}{
		{"no keys.yaml", func(t *testing.T, dir, _ string) { remove(t, dir, "keys.yaml") }, "no such file"},
		{"no key file", func(t *testing.T, dir, kid string) { remove(t, dir, kid+".pem") }, "no such file"},
		{"keys.yaml is empty", func(t *testing.T, dir, _ string) { write(t, dir, "keys.yaml", "") }, "the file is empty"},
		{"keys.yaml is half-written", func(t *testing.T, dir, _ string) { write(t, dir, "keys.yaml", "keys: {a: {publishAt") }, "keys.yaml: 1:"},
		{"keys.yaml without keys", func(t *testing.T, dir, _ string) { write(t, dir, "keys.yaml", "keys: {}") }, "no keys"},
		{"an unknown field", func(t *testing.T, dir, kid string) {
			write(t, dir, "keys.yaml", "keys: {"+kid+": {signAt: 2026-01-01T00:00:00Z}}")
		}, `unknown key "signAt"`},
		{"a time is missing", func(t *testing.T, dir, kid string) {
			write(t, dir, "keys.yaml", "keys: {"+kid+": {signFrom: 2026-01-01T00:00:00Z}}")
		}, "all four given"},
		{"a key that everyone may read", func(t *testing.T, dir, kid string) { chmod(t, dir, kid+".pem", 0o644) }, "chmod g-w,o= it, or mount"},
		{"a key that the group may write", func(t *testing.T, dir, kid string) { chmod(t, dir, kid+".pem", 0o660) }, "has mode 0660"},
		{"times that everyone may write", func(t *testing.T, dir, _ string) { chmod(t, dir, "keys.yaml", 0o666) }, "chmod o-w it"},
		{"a path as kid", func(t *testing.T, dir, kid string) {
			write(t, dir, "keys.yaml", "keys: {../x: {signFrom: 2026-01-01T00:00:00Z}}")
		}, "not a thumbprint"},
		{"the key file is empty", func(t *testing.T, dir, kid string) { write(t, dir, kid+".pem", "") }, "want exactly one PKCS#8 PEM block"},
		{"the key file is half-written", func(t *testing.T, dir, kid string) { truncate(t, dir, kid+".pem") }, "want exactly one PKCS#8 PEM block"},
		{"garbage in the block", func(t *testing.T, dir, kid string) { writeBlock(t, dir, kid, []byte("garbage")) }, "cannot be read"},
		{"another key", func(t *testing.T, dir, kid string) { writeBlock(t, dir, kid, ecKey(t, elliptic.P256())) }, "holds another key"},
		{"another curve", func(t *testing.T, dir, kid string) { writeBlock(t, dir, kid, ecKey(t, elliptic.P384())) }, "key kind not supported"},
		{"short RSA", func(t *testing.T, dir, kid string) { writeBlock(t, dir, kid, rsaKey(t, 1024)) }, "key kind not supported"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			kid := add(t, dir, keyset.ES256, plan(noon))
			row.change(t, dir, kid)
			keys, err := keyset.LoadSigning(dir)
			if keys != nil || err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, %v; want %q", keys, err, row.want)
			}
		})
	}
}

// A Secret as kubelet mounts it for an fsGroup, and a file that no key is in yet.
func TestDirectoriesThatAreTaken(t *testing.T) {
	dir := t.TempDir()
	kid := add(t, dir, keyset.ES256, plan(noon))
	chmod(t, dir, kid+".pem", 0o440)
	chmod(t, dir, "keys.yaml", 0o644)
	write(t, dir, "stray.pem", "half of it")
	if _, err := keyset.LoadSigning(dir); err != nil {
		t.Error(err)
	}
	files, err := keyset.ReadFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	if stray, err := files.Stray(); err != nil || strings.Join(stray, " ") != "stray.pem" {
		t.Errorf("got %q, %v", stray, err)
	}
}

func chmod(t *testing.T, dir, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, dir, name string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, name, string(data[:len(data)/2]))
}

func writeBlock(t *testing.T, dir, kid string, der []byte) {
	t.Helper()
	write(t, dir, kid+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func ecKey(t *testing.T, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pkcs8(t, key)
}

func rsaKey(t *testing.T, bits int) []byte {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return pkcs8(t, key)
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestPlansOutOfOrder(t *testing.T) {
	for name, p := range map[string]keyset.Plan{
		"empty":                     {},
		"signs before publishing":   {PublishAt: noon.Add(1), SignFrom: noon, SignUntil: noon.Add(2), RemoveAfter: noon.Add(3)},
		"never signs":               {PublishAt: noon, SignFrom: noon, SignUntil: noon, RemoveAfter: noon.Add(1)},
		"removed while it may sign": {PublishAt: noon, SignFrom: noon, SignUntil: noon.Add(2), RemoveAfter: noon.Add(1)},
	} {
		if kid, err := keyset.New(t.TempDir(), keyset.ES256, p); !errors.Is(err, keyset.ErrPlan) {
			t.Errorf("%s: got %q, %v", name, kid, err)
		}
	}
	if _, err := keyset.New(t.TempDir(), "HS256", plan(noon)); err == nil || !strings.Contains(err.Error(), "want one of") {
		t.Errorf("HS256: %v", err)
	}
}

// member is a JWK of a fresh P-256 key, with changes.
func member(t *testing.T, changes map[string]any) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.FromRaw(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	if err := jwk.AssignKeyID(key); err != nil {
		t.Fatal(err)
	}
	members, err := key.AsMap(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return toJSON(t, members, changes)
}

func toJSON(t *testing.T, members, changes map[string]any) string {
	t.Helper()
	data, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	plain := map[string]any{}
	if err := json.Unmarshal(data, &plain); err != nil {
		t.Fatal(err)
	}
	for name, value := range changes {
		plain[name] = value
	}
	if data, err = json.Marshal(plain); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestKeySetsThatAreRefused(t *testing.T) {
	good := member(t, nil)
	with := func(changes map[string]any) string { return `{"keys":[` + good + `,` + member(t, changes) + `]}` }
	for _, row := range []struct{ name, text, want string }{
		{"nothing", "", "not a JSON object"},
		{"half-written", `{"keys":[` + good[:20], "not a JSON object"},
		{"a list", `[` + good + `]`, "not a JSON object"},
		{"no keys", `{"keys":[]}`, "no keys"},
		{"another document", `{"error":"down"}`, "no keys"},
		{"something follows", `{"keys":[` + good + `]}{}`, "something follows"},
		{"too large", `{"keys":[` + good + `],"x":"` + strings.Repeat("a", 300<<10) + `"}`, "larger than"},
		{"too many", `{"keys":[` + strings.Repeat(good+",", 100) + good + `]}`, "more than 100"},
		{"the same key twice", `{"keys":[` + good + `,` + good + `]}`, "key 2: the same key twice"},
		{"a private key", with(map[string]any{"d": "AAAA"}), "key 2: a private key"},
		{"a symmetric key", `{"keys":[{"kty":"oct","k":"AAAA","kid":"x"}]}`, "key 1: a symmetric key"},
		{"no kid", with(map[string]any{"kid": ""}), "not the key's thumbprint"},
		{"another kid", with(map[string]any{"kid": "mine"}), "not the key's thumbprint"},
		{"another alg", with(map[string]any{"alg": "ES384"}), "alg does not fit"},
		{"for encryption", with(map[string]any{"use": "enc"}), "use is not sig"},
		{"for signing", with(map[string]any{"key_ops": []string{"sign"}}), "key_ops"},
		{"off the curve", with(map[string]any{"x": "AAAA"}), "key 2: "},
		{"no member of its kind", `{"keys":[{"kty":"EC"}]}`, "key 1: the key cannot be read"},
		{"a number", `{"keys":[1]}`, "key 1: not a JSON Web Key"},
	} {
		t.Run(row.name, func(t *testing.T) {
			set, err := keyset.ParseJWKS([]byte(row.text))
			if set != nil || err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, %v; want %q", set, err, row.want)
			}
		})
	}
	if set, err := keyset.ParseJWKS([]byte(`{"keys":[` + good + `]}`)); err != nil || len(set.IDs()) != 1 {
		t.Errorf("the good one: %v, %v", set, err)
	}
}
