package keyset

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/meshpass/meshpass/internal/strictjson"
)

// Limits of a JWKS, far above any honest set.
const (
	MaxSetBytes = 256 << 10
	maxKeys     = 100
)

// ParseJWKS reads a key set (RFC 7517), as strictly as a token is read: at most
// [MaxSetBytes] and 100 keys, with kids that are thumbprints. One invalid key rejects the
// whole set: a set that its publisher did not mean should alarm people, and not be trimmed.
// A key whose kty is unknown is skipped and counted ([PublicKeys.SkippedKeys]), as section 5
// asks. Otherwise the first gateway with a new kind of key would keep every older verifier
// from reading its set. Errors never quote a key: it may be a private one.
func ParseJWKS(data []byte) (*PublicKeys, error) {
	members, err := splitSet(data)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	set := &PublicKeys{keys: make(map[string]PublicKey, len(members))}
	kids := map[string]bool{}
	for i, member := range members {
		kid, key, err := parseJWK(member)
		switch {
		case err != nil:
			return nil, fmt.Errorf("key set: key %d: %w", i+1, err)
		case kid != "" && kids[kid]:
			return nil, fmt.Errorf("key set: key %d: the same key twice: another key has its kid", i+1)
		}
		kids[kid] = true
		if key == nil {
			set.skipped++
			continue
		}
		set.keys[kid] = *key
	}
	if len(set.keys) == 0 {
		return nil, fmt.Errorf("key set: no usable key: the kty of all %d is unknown", set.skipped)
	}
	return set, nil
}

func splitSet(data []byte) ([]any, error) {
	if len(data) > MaxSetBytes {
		return nil, fmt.Errorf("larger than %d bytes", MaxSetBytes)
	}
	object, err := strictjson.ParseObject(data)
	switch {
	case errors.Is(err, strictjson.ErrNotJSON) || errors.Is(err, strictjson.ErrNotObject):
		return nil, errors.New("not a JSON object with an array \"keys\"")
	case err != nil:
		return nil, err
	}
	if err := checkSpelling(object, "keys"); err != nil {
		return nil, err
	}
	keys, isList := object["keys"].([]any)
	switch {
	case object["keys"] != nil && !isList:
		return nil, errors.New("keys is not an array")
	case len(keys) == 0:
		return nil, errors.New("no keys")
	case len(keys) > maxKeys:
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	return keys, nil
}

// checkSpelling rejects names in other letters: encoding/json and other readers accept
// "Keys" as "keys".
func checkSpelling(object map[string]any, names ...string) error {
	for name := range object {
		for _, want := range names {
			if name != want && strings.EqualFold(name, want) {
				return fmt.Errorf("a member %q: write %q", name, want)
			}
		}
	}
	return nil
}

// privateMembers are the secret members of a JWK: RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1,
// RFC 8037 section 2, and priv of the kty AKP.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "priv"}

const symmetricMember = "k"

// parseJWK returns the key and its kid. key is nil if the kty is unknown; kid may then be
// empty.
func parseJWK(value any) (kid string, key *PublicKey, err error) {
	members, isObject := value.(map[string]any)
	if !isObject {
		return "", nil, errors.New("not a JSON Web Key")
	}
	if err := checkPublic(members); err != nil {
		return "", nil, err
	}
	if err := checkSpelling(members, "kty", "kid", "alg", "use", "key_ops", "crv", "x", "y", "n", "e"); err != nil {
		return "", nil, err
	}
	texts, err := readTexts(members)
	if err != nil {
		return "", nil, err
	}
	public, known, err := readPublicKey(members, texts["kty"])
	if !known || err != nil {
		return texts["kid"], nil, err
	}
	algorithm, err := algorithmOf(public)
	if err != nil {
		return "", nil, err
	}
	if kid, err = thumbprint(public); err != nil {
		return "", nil, err
	}
	switch {
	case texts["kid"] != kid:
		return "", nil, fmt.Errorf("its kid is not the key's thumbprint, %s", kid)
	case texts["alg"] != "" && texts["alg"] != algorithm:
		return "", nil, fmt.Errorf("its alg does not fit the key, whose algorithm is %s", algorithm)
	}
	return kid, &PublicKey{Algorithm: algorithm, key: public}, checkUse(members, texts["use"])
}

// checkPublic rejects secret members of any kind of key, in upper or lower case, with any
// value. If there is one, the publisher has mixed up the halves of its keys.
func checkPublic(members map[string]any) error {
	for name := range members {
		if strings.EqualFold(name, symmetricMember) {
			return errors.New("a symmetric key")
		}
		if slices.ContainsFunc(privateMembers, func(private string) bool { return strings.EqualFold(name, private) }) {
			return errors.New("a private key: publish the public half, and replace this key, which is no longer secret")
		}
	}
	if kty, _ := members["kty"].(string); strings.EqualFold(kty, "oct") {
		return errors.New("a symmetric key")
	}
	return nil
}

// readTexts returns the members that are texts. Absent ones are empty.
func readTexts(members map[string]any) (map[string]string, error) {
	texts := map[string]string{}
	for _, name := range []string{"kty", "kid", "alg", "use"} {
		value, present := members[name]
		text, isText := value.(string)
		if present && !isText {
			return nil, fmt.Errorf("not a JSON Web Key: %s is not a text", name)
		}
		texts[name] = text
	}
	if texts["kty"] == "" {
		return nil, errors.New("not a JSON Web Key: no kty")
	}
	return texts, nil
}

func checkUse(members map[string]any, use string) error {
	if use != "" && use != "sig" {
		return errors.New("use is not sig")
	}
	value, present := members["key_ops"]
	operations, isList := value.([]any)
	if present && !isList {
		return errors.New("key_ops is not a list")
	}
	for _, operation := range operations {
		if operation != "verify" {
			return errors.New("key_ops holds more than verify")
		}
	}
	return nil
}

// readPublicKey reads the key itself. known is false if the kty is not one of ours.
func readPublicKey(members map[string]any, kty string) (key crypto.PublicKey, known bool, err error) {
	read := func(name string) (data []byte) {
		if err == nil {
			data, err = readBytes(members, name)
		}
		return data
	}
	curve, _ := members["crv"].(string)
	switch {
	case kty == "EC" && curve == "P-256":
		x, y := read("x"), read("y")
		if err == nil && (len(x) != coordinate || len(y) != coordinate) {
			err = fmt.Errorf("x and y are not %d bytes each", coordinate)
		}
		key = &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
	case kty == "OKP" && curve == "Ed25519":
		x := read("x")
		if err == nil && len(x) != ed25519.PublicKeySize {
			err = fmt.Errorf("x is not %d bytes", ed25519.PublicKeySize)
		}
		key = ed25519.PublicKey(x)
	case kty == "RSA":
		n, e := read("n"), read("e")
		if err == nil && (n[0] == 0 || e[0] == 0) {
			err = errors.New("n or e begins with a zero byte") // RFC 7518 section 6.3.1; thumbprints would differ
		}
		exponent := new(big.Int).SetBytes(e)
		if err == nil && (len(n) > maxRSABits/8 || !exponent.IsInt64() || exponent.Int64() > maxRSAExponent) {
			err = ErrUnsupportedKey
		}
		key = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}
	case kty == "EC" || kty == "OKP":
		return nil, true, ErrUnsupportedKey
	default:
		return nil, false, nil
	}
	return key, true, err
}

// readBytes reads at least one byte in base64url without padding (RFC 7518 section 2).
func readBytes(members map[string]any, name string) ([]byte, error) {
	text, _ := members[name].(string)
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(data) == 0 || strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("%s is not base64url without padding", name)
	}
	return data, nil
}

// MarshalJWKS returns the keys of one or several sets as one document (RFC 7517 section 5),
// sorted by kid. The document does not name the owner of a key: put several sets together
// only for readers who know the owners.
func MarshalJWKS(sets ...*PublicKeys) ([]byte, error) {
	keys := []jwk.Key{}
	for _, set := range sets {
		for kid, public := range set.keys {
			key, err := toJWK(kid, public)
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b jwk.Key) int { return strings.Compare(a.KeyID(), b.KeyID()) })
	return marshalSet(keys)
}

func marshalSet(keys []jwk.Key) ([]byte, error) {
	return json.MarshalIndent(struct {
		Keys []jwk.Key `json:"keys"`
	}{keys}, "", "  ")
}

func toJWK(kid string, public PublicKey) (jwk.Key, error) {
	key, err := jwk.FromRaw(public.key)
	if err != nil {
		return nil, err
	}
	members := []struct {
		name  string
		value any
	}{{jwk.KeyIDKey, kid}, {jwk.AlgorithmKey, jwa.SignatureAlgorithm(public.Algorithm)}, {jwk.KeyUsageKey, jwk.ForSignature}}
	for _, m := range members {
		if err := key.Set(m.name, m.value); err != nil {
			return nil, err
		}
	}
	return key, nil
}
