package tokentest

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
)

func forgedHeaders(t testing.TB, now time.Time) []Forgery {
	with := func(name string, value any) string {
		p := ValidParts(t, now)
		p.Header[name] = value
		return p.Sign(t)
	}
	without := func(name string) string {
		p := ValidParts(t, now)
		delete(p.Header, name)
		return p.Sign(t)
	}
	return append(unexpectedParameters(with), []Forgery{
		{"typ JWT", with("typ", "JWT"), decision.TypeMismatch},
		{"typ of an access token", with("typ", "at+jwt"), decision.TypeMismatch},
		{"typ of a workload's token", with("typ", "wit+jwt"), decision.TypeMismatch},
		{"typ of a proof of possession", with("typ", "dpop+jwt"), decision.TypeMismatch},
		{"typ of a logout token", with("typ", "logout+jwt"), decision.TypeMismatch},
		{"typ with a parameter", with("typ", "txntoken+jwt; v=1"), decision.TypeMismatch},
		{"typ with the prefix twice", with("typ", "application/application/txntoken+jwt"), decision.TypeMismatch},
		{"typ with a letter that folds", with("typ", "txnto\u212aen+jwt"), decision.TypeMismatch},
		{"typ of an older draft", with("typ", "txn_token"), decision.TypeMismatch},
		{"no typ", without("typ"), decision.TypeMismatch},
		{"typ is a number", with("typ", 1), decision.TypeMismatch},
		{"crit", with("crit", []string{"exp"}), decision.HeaderCritical},
		{"crit, empty", with("crit", []string{}), decision.HeaderCritical},
		{"crit is null", with("crit", nil), decision.HeaderCritical},
		{"b64 false", with("b64", false), decision.HeaderCritical},
		{"b64", with("b64", true), decision.HeaderCritical},
		{"zip", with("zip", "DEF"), decision.HeaderCritical},
		{"jku", with("jku", "https://evil.example/jwks"), decision.HeaderKeySource},
		{"jwk", with("jwk", map[string]any{"kty": "EC"}), decision.HeaderKeySource},
		{"x5u", with("x5u", "https://evil.example/x5u"), decision.HeaderKeySource},
		{"x5c", with("x5c", []string{"MIIB"}), decision.HeaderKeySource},
		{"x5t", with("x5t", "dGh1bWI"), decision.HeaderKeySource},
		{"x5t#S256", with("x5t#S256", "dGh1bWI"), decision.HeaderKeySource},
		{"nested", with("cty", "JWT"), decision.HeaderNested},
		{"no kid", without("kid"), decision.KeyIDMissing},
		{"a long kid", with("kid", strings.Repeat("k", 65)), decision.KeyIDMissing},
		{"kid is empty", with("kid", ""), decision.KeyIDMissing},
		{"kid is a number", with("kid", 1), decision.KeyIDMissing},
		{"kid is a list", with("kid", []string{"a"}), decision.KeyIDMissing},
		{"kid is null", with("kid", nil), decision.KeyIDMissing},
		{"kid in other letters", with("kid", strings.ToUpper(ValidParts(t, now).Header["kid"].(string))), decision.KeyUnknown},
		{"kid with a space", with("kid", ValidParts(t, now).Header["kid"].(string)+" "), decision.KeyUnknown},
		{"kid with a NUL", with("kid", ValidParts(t, now).Header["kid"].(string)+"\x00"), decision.KeyUnknown},
		{"SQL as kid", with("kid", "x' UNION SELECT 'secret"), decision.KeyUnknown},
		{"a path as kid", with("kid", "../../etc/passwd"), decision.KeyUnknown},
		{"alg none", with("alg", "none"), decision.AlgorithmBanned},
		{"alg None", with("alg", "None"), decision.AlgorithmBanned},
		{"alg nOnE", with("alg", "nOnE"), decision.AlgorithmBanned},
		{"alg HS256", with("alg", "HS256"), decision.AlgorithmBanned},
		{"alg hs512", with("alg", "hs512"), decision.AlgorithmBanned},
		{"alg is empty", with("alg", ""), decision.AlgorithmRefused},
		{"alg is a list", with("alg", []string{"ES256"}), decision.AlgorithmRefused},
		{"alg is null", with("alg", nil), decision.AlgorithmRefused},
		{"alg with a space", with("alg", "ES256 "), decision.AlgorithmRefused},
		{"alg of encryption", with("alg", "dir"), decision.AlgorithmRefused},
		{"alg of another curve", with("alg", "ES384"), decision.AlgorithmRefused},
		{"alg by its new name", with("alg", "ESP256"), decision.AlgorithmRefused},
		{"alg in lower case", with("alg", "es256"), decision.AlgorithmRefused},
		{"no alg", without("alg"), decision.AlgorithmRefused},
		{"alg of another key", with("alg", "RS256"), decision.AlgorithmRefused},
	}...)
}

// unexpectedParameters have header parameters of JWE, of other JWS profiles, and unknown
// ones.
func unexpectedParameters(with func(name string, value any) string) []Forgery {
	var all []Forgery
	for name, value := range map[string]any{
		"enc": "A256GCM", "epk": map[string]any{"kty": "EC"}, "apu": "QWxpY2U", "apv": "Qm9i", "iv": "AAAA", "tag": "AAAA", "p2s": "c2FsdA", "p2c": 1,
		"url": "https://x", "nonce": "n", "svt": []string{}, "ppt": "shaken", "iss": Issuer, "sub": "idp:root", "aud": Audience, "exp": 1,
		"ENC": "A256GCM", "Alg": "none", "KID": "x", "Typ": "JWT", "Crit": []string{"exp"}, "jWk": nil,
		"foo": []string{"bar"}, "": "", "alg ": "none", "\u212aid": "x", "x5t#s256": "AAAA",
	} {
		all = append(all, Forgery{"header parameter " + strconv.Quote(name), with(name, value), decision.HeaderUnexpected})
	}
	slices.SortFunc(all, func(a, b Forgery) int { return strings.Compare(a.Name, b.Name) })
	return all
}
