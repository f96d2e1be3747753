package keyset_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
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
	kid, err := keyset.CreateKey(dir, algorithm, p)
	if err != nil {
		t.Fatal(err)
	}
	return kid
}

func TestStateIsAFunctionOfTheClock(t *testing.T) {
	dir := t.TempDir()
	old, next := add(t, dir, keyset.ES256, plan(noon)), add(t, dir, keyset.EdDSA, plan(noon.Add(time.Hour)))
	keys, err := keyset.LoadSigningKeys(dir)
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
			if err == nil && (!key.Plan().MaySignAt(now) || keys.StateOf(key, now) != keyset.StateSigning) {
				t.Errorf("the plan of %s says otherwise", key.ID())
			}
			if got := states(keys, now, old, next); got != row.states {
				t.Errorf("states %s, want %s", got, row.states)
			}
			if row.signs == "" && !errors.Is(err, keyset.ErrNoCurrentKey) || row.signs != "" && (err != nil || key.ID() != row.signs) {
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

func states(keys *keyset.SigningKeys, now time.Time, kids ...string) string {
	var all []string
	for _, kid := range kids {
		for _, key := range keys.Keys() {
			if key.ID() == kid {
				all = append(all, string(keys.StateOf(key, now)))
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
	keys, err := keyset.LoadSigningKeys(dir)
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

// A new key does not change who may read keys.yaml.
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
		{"no key file", func(t *testing.T, dir, kid string) { remove(t, dir, kid+".pem") }, "there is no file"},
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
		{"RSA with the exponent 3", func(t *testing.T, dir, kid string) { writeBlock(t, dir, kid, rsaKeyWithExponent3(t)) }, "key kind not supported"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			kid := add(t, dir, keyset.ES256, plan(noon))
			row.change(t, dir, kid)
			keys, err := keyset.LoadSigningKeys(dir)
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
	if _, err := keyset.LoadSigningKeys(dir); err != nil {
		t.Error(err)
	}
	files, err := keyset.ReadFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	if stray, err := files.StrayFiles(); err != nil || strings.Join(stray, " ") != "stray.pem" {
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

func rsaKeyWithExponent3(t *testing.T) []byte {
	t.Helper()
	for {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		one := big.NewInt(1)
		p, q := new(big.Int).Sub(key.Primes[0], one), new(big.Int).Sub(key.Primes[1], one)
		if d := new(big.Int).ModInverse(big.NewInt(3), p.Mul(p, q)); d != nil {
			made := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: key.N, E: 3}, D: d, Primes: key.Primes}
			made.Precompute()
			return pkcs8(t, made)
		}
	}
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
		if kid, err := keyset.CreateKey(t.TempDir(), keyset.ES256, p); !errors.Is(err, keyset.ErrInvalidPlan) {
			t.Errorf("%s: got %q, %v", name, kid, err)
		}
	}
	if _, err := keyset.CreateKey(t.TempDir(), "HS256", plan(noon)); err == nil || !strings.Contains(err.Error(), "want one of") {
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
	return jsonOf(t, key, changes)
}

// jsonOf writes a value, an object, with changes to its members.
func jsonOf(t *testing.T, value any, changes map[string]any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range changes {
		members[name] = value
	}
	if data, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// rsaMember is a JWK with this modulus and exponent, which need not be sound.
func rsaMember(t *testing.T, modulus, exponent *big.Int) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	n, e := encode(modulus.Bytes()), encode(exponent.Bytes())
	thumbprint := sha256.Sum256([]byte(`{"e":"` + e + `","kty":"RSA","n":"` + n + `"}`))
	return `{"kty":"RSA","kid":"` + encode(thumbprint[:]) + `","n":"` + n + `","e":"` + e + `"}`
}

// oddNumber has exactly that many bits.
func oddNumber(t *testing.T, bits int) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits-1)))
	if err != nil {
		t.Fatal(err)
	}
	return n.SetBit(n, bits-1, 1).SetBit(n, 0, 1)
}

// The size of a key is limited, because it decides the cost of a verification. A key that
// cannot verify anything is rejected.
func TestTheBoundsOfRSAKeys(t *testing.T) {
	power := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }
	plus := func(n *big.Int, more int64) *big.Int { return new(big.Int).Add(n, big.NewInt(more)) }
	f4 := big.NewInt(65537)
	for _, row := range []struct {
		name              string
		modulus, exponent *big.Int
		sound             bool
	}{
		{"2048 bits", oddNumber(t, 2048), f4, true},
		{"8192 bits", oddNumber(t, 8192), f4, true},
		{"the largest exponent", oddNumber(t, 2048), plus(power(31), -1), true},
		{"2047 bits", oddNumber(t, 2047), f4, false},
		{"8193 bits", oddNumber(t, 8193), f4, false},
		{"16384 bits", oddNumber(t, 16384), f4, false},
		{"44000 bits", oddNumber(t, 44000), plus(power(31), -1), false},
		{"an even modulus", plus(oddNumber(t, 2048), -1), f4, false},
		{"the exponent 1", oddNumber(t, 2048), big.NewInt(1), false},
		{"the exponent 3", oddNumber(t, 2048), big.NewInt(3), false},
		{"an even exponent", oddNumber(t, 2048), big.NewInt(65538), false},
		{"an exponent that crypto/rsa does not verify with", oddNumber(t, 2048), plus(power(31), 1), false},
		{"an exponent of 33 bits", oddNumber(t, 2048), plus(power(32), 1), false},
		{"an exponent that is 65537 in 64 bits", oddNumber(t, 2048), plus(power(64), 65537), false},
		{"an exponent as large as the modulus", oddNumber(t, 2048), oddNumber(t, 2048), false},
	} {
		set, err := keyset.ParseJWKS([]byte(`{"keys":[` + rsaMember(t, row.modulus, row.exponent) + `]}`))
		if row.sound && (err != nil || len(set.KeyIDs()) != 1) || !row.sound && !errors.Is(err, keyset.ErrUnsupportedKey) {
			t.Errorf("%s: got %v, %v", row.name, set, err)
		}
	}
}

// A key with an unknown kty does not reject the set (RFC 7517 section 5). It is counted, and
// hides no other fault.
func TestKeysOfAnUnknownKind(t *testing.T) {
	good := member(t, nil)
	unknown := `{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA","kid":"new"}`
	kid := regexp.MustCompile(`"kid":"[^"]*"`).FindString(good)
	for _, row := range []struct {
		name, keys string
		usable     int
		skipped    int
		want       string
	}{
		{"one", good + "," + unknown, 1, 1, ""},
		{"first", unknown + "," + good, 1, 1, ""},
		{"several without kid", good + `,{"kty":"AKP"},{"kty":"AKP"}`, 1, 2, ""},
		{"kty in other letters", good + `,{"kty":"ec"}`, 1, 1, ""},
		{"for encryption", good + `,{"kty":"AKP","use":"enc"}`, 1, 1, ""},
		{"none beside it", unknown, 0, 0, "no usable key: the kty of all 1 is unknown"},
		{"the kid of ours", good + `,{"kty":"AKP",` + kid + `}`, 0, 0, "key 2: the same key twice"},
		{"the kid of another", good + "," + unknown + "," + unknown, 0, 0, "key 3: the same key twice"},
		{"with a private member", good + `,{"kty":"AKP","priv":"AAAA"}`, 0, 0, "key 2: a private key"},
		{"with a private member of ours", good + `,{"kty":"AKP","d":null}`, 0, 0, "key 2: a private key"},
		{"no kty", good + `,{"kid":"x"}`, 0, 0, "key 2: not a JSON Web Key: no kty"},
		{"kty is a number", good + `,{"kty":1}`, 0, 0, "key 2: not a JSON Web Key: kty is not a text"},
		{"kid is a number", good + `,{"kty":"AKP","kid":1}`, 0, 0, "key 2: not a JSON Web Key: kid is not a text"},
		{"too many", good + strings.Repeat(`,{"kty":"AKP"}`, 100), 0, 0, "more than 100"},
	} {
		set, err := keyset.ParseJWKS([]byte(`{"keys":[` + row.keys + `]}`))
		if row.want != "" {
			if set != nil || err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%s: got %v, %v; want %q", row.name, set, err, row.want)
			}
			continue
		}
		if err != nil || len(set.KeyIDs()) != row.usable || set.SkippedKeys() != row.skipped {
			t.Errorf("%s: got %v, %v", row.name, set, err)
		}
	}
	with, err := keyset.ParseJWKS([]byte(`{"keys":[` + good + "," + unknown + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	without, err := keyset.ParseJWKS([]byte(`{"keys":[` + good + `]}`))
	if err != nil || with.Equal(without) || !with.Equal(with) {
		t.Errorf("the number of skipped keys is no difference: %v", err)
	}
}

// A private member is always noticed, in any spelling and with any value.
func TestNoPrivateMemberIsOverlooked(t *testing.T) {
	for _, kind := range []string{member(t, nil), `{"kty":"AKP"}`, `{"kty":"RSA"}`} {
		for _, name := range []string{"d", "D", "p", "Q", "dp", "DQ", "qI", "oth", "priv", "PRIV", "k", "K", "\u212a", `\u0064`} {
			for _, value := range []string{`"AAAA"`, `""`, `null`, `[]`, `{}`, `0`} {
				text := `{"keys":[` + strings.TrimSuffix(kind, "}") + `,"` + name + `":` + value + `}]}`
				_, err := keyset.ParseJWKS([]byte(text))
				if err == nil || !strings.Contains(err.Error(), "key 1: a private key") && !strings.Contains(err.Error(), "key 1: a symmetric key") {
					t.Errorf("%s: got %v", text, err)
				}
			}
		}
	}
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
		{"off the curve", with(map[string]any{"x": strings.Repeat("A", 43)}), "key 2: key kind not supported"},
		{"a short coordinate", with(map[string]any{"x": "AAAA"}), "key 2: x and y are not 32 bytes each"},
		{"a long coordinate", with(map[string]any{"y": strings.Repeat("A", 44)}), "key 2: x and y are not 32 bytes each"},
		{"a coordinate with padding", with(map[string]any{"y": strings.Repeat("A", 43) + "="}), "key 2: y is not base64url"},
		{"a coordinate in other letters", with(map[string]any{"y": strings.Repeat("/", 43)}), "key 2: y is not base64url"},
		{"a coordinate with a line's end", with(map[string]any{"y": strings.Repeat("A", 42) + "\nA"}), "key 2: y is not base64url"},
		{"a coordinate with trailing bits", with(map[string]any{"y": strings.Repeat("A", 42) + "B"}), "key 2: y is not base64url"},
		{"no coordinate", with(map[string]any{"y": nil}), "key 2: y is not base64url"},
		{"another curve", with(map[string]any{"crv": "P-384"}), "key 2: key kind not supported"},
		{"a curve for key agreement", `{"keys":[{"kty":"OKP","crv":"X25519","x":"` + strings.Repeat("A", 43) + `"}]}`, "key 1: key kind not supported"},
		{"a short Ed25519 key", `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}`, "key 1: x is not 32 bytes"},
		{"a modulus with a zero in front", `{"keys":[{"kty":"RSA","n":"AAEC","e":"AQAB"}]}`, "key 1: n or e begins with a zero byte"},
		{"an exponent with a zero in front", `{"keys":[{"kty":"RSA","n":"AQID","e":"AAEAAQ"}]}`, "key 1: n or e begins with a zero byte"},
		{"no modulus", `{"keys":[{"kty":"RSA","e":"AQAB"}]}`, "key 1: n is not base64url"},
		{"no member of its kind", `{"keys":[{"kty":"EC"}]}`, "key 1: key kind not supported"},
		{"keys in other letters", `{"Keys":[` + good + `]}`, `a member "Keys": write "keys"`},
		{"keys in other letters beside it", `{"keys":[` + good + `],"KEYS":[]}`, `a member "KEYS": write "keys"`},
		{"keys twice", `{"keys":[],"keys":[` + good + `]}`, "a member name appears twice"},
		{"keys twice, once escaped", `{"keys":[` + good + `],"\u006beys":[` + good + `]}`, "a member name appears twice"},
		{"keys is an object", `{"keys":{"a":` + good + `}}`, "keys is not an array"},
		{"keys is null", `{"keys":null}`, "no keys"},
		{"a member twice", `{"keys":[` + strings.Replace(good, "{", `{"kty":"oct",`, 1) + `]}`, "a member name appears twice"},
		{"kid in other letters", with(map[string]any{"KID": "x"}), `key 2: a member "KID": write "kid"`},
		{"kty in other letters", `{"keys":[{"Kty":"EC"}]}`, `key 1: a member "Kty": write "kty"`},
		{"oct in other letters", `{"keys":[{"kty":"OCT","kid":"x"}]}`, "key 1: a symmetric key"},
		{"use is a list", with(map[string]any{"use": []string{"sig"}}), "key 2: not a JSON Web Key: use is not a text"},
		{"key_ops is a text", with(map[string]any{"key_ops": "verify"}), "key 2: key_ops is not a list"},
		{"not UTF-8", `{"keys":[` + good + `],"x":"` + "\xff" + `"}`, "not UTF-8"},
		{"too deep", `{"keys":[` + good + `],"x":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `}`, "nested deeper than 8"},
		{"a number", `{"keys":[1]}`, "key 1: not a JSON Web Key"},
	} {
		t.Run(row.name, func(t *testing.T) {
			set, err := keyset.ParseJWKS([]byte(row.text))
			if set != nil || err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, %v; want %q", set, err, row.want)
			}
		})
	}
	for name, text := range map[string]string{
		"the good one":             `{"keys":[` + good + `]}`,
		"with members of its own":  `{"keys":[` + good + `],"issuer":"x","updated":1}`,
		"with a certificate":       `{"keys":[` + jsonOf(t, json.RawMessage(good), map[string]any{"x5c": []string{"MIIB"}, "x5t#S256": "AAAA", "exp": 1}) + `]}`,
		"for verification by word": `{"keys":[` + jsonOf(t, json.RawMessage(good), map[string]any{"use": "sig", "key_ops": []string{"verify"}}) + `]}`,
	} {
		if set, err := keyset.ParseJWKS([]byte(text)); err != nil || len(set.KeyIDs()) != 1 || set.SkippedKeys() != 0 {
			t.Errorf("%s: %v, %v", name, set, err)
		}
	}
}

// A file that another user leaves in a sticky directory signs nothing, and rejects nothing.
func TestAStrangersFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: a stranger's file in a key directory: needs root")
	}
	dir := t.TempDir()
	kid, err := keyset.CreateKey(dir, keyset.ES256, plan(noon))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	stranger := filepath.Join(dir, "stranger.pem")
	if err := os.WriteFile(stranger, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(stranger, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if keys, err := keyset.LoadSigningKeys(dir); err != nil || len(keys.Keys()) != 1 {
		t.Errorf("got %v", err)
	}
	if err := os.Chown(filepath.Join(dir, kid+".pem"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := keyset.LoadSigningKeys(dir); !errors.Is(err, keyset.ErrOpen) {
		t.Errorf("a stranger's key that keys.yaml names: %v", err)
	}
}

// Keys in a directory that everyone may write to are neither read nor made: the key of
// anyone would sign.
func TestAKeyDirectoryOfEverybodys(t *testing.T) {
	dir := t.TempDir()
	if _, err := keyset.CreateKey(dir, keyset.ES256, plan(noon)); err != nil {
		t.Fatal(err)
	}
	for mode, accepted := range map[os.FileMode]bool{0o777: false, 0o777 | os.ModeSticky: true, 0o755: true} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		_, read := keyset.LoadSigningKeys(dir)
		_, made := keyset.CreateKey(dir, keyset.ES256, plan(noon))
		for what, err := range map[string]error{"read": read, "made": made} {
			if (err == nil) != accepted || err != nil && !errors.Is(err, keyset.ErrOpen) {
				t.Errorf("%v: %s: %v", mode, what, err)
			}
		}
	}
}
