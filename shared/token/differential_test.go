package token_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/token"
)

// library verifies as a careful user of jwx would: with a key set, with every check that
// the library offers, and with every claim required.
func library(t testing.TB) func(raw string) error {
	t.Helper()
	set, err := jwk.Parse(tokentest.JWKS(t))
	if err != nil {
		t.Fatal(err)
	}
	options := []jwt.ParseOption{
		jwt.WithKeySet(set), jwt.WithValidate(true), jwt.WithIssuer(tokentest.Issuer), jwt.WithAudience(tokentest.Audience),
		jwt.WithAcceptableSkew(token.DefaultLeeway), jwt.WithClock(jwt.ClockFunc(func() time.Time { return noon })),
	}
	for _, name := range []string{"exp", "iat", "txn", "sub", "scope", "req_wl"} {
		options = append(options, jwt.WithRequiredClaim(name))
	}
	return func(raw string) error {
		_, err := jwt.Parse([]byte(raw), options...)
		return err
	}
}

// onlyTheLibraryAccepts are the forged tokens that the library accepts and we reject, by our
// reason. They are why we have a parser of our own. A change of either side fails the test.
var onlyTheLibraryAccepts = map[decision.Reason][]string{
	decision.AlgorithmBanned: {
		"alg none", "alg None", "alg nOnE", "alg HS256", "alg hs512",
	},
	decision.AlgorithmRefused: {
		"alg is empty", "alg is null", "alg with a space", "alg of encryption", "alg of another curve", "alg by its new name",
		"alg in lower case", "no alg", "alg of another key",
	},
	decision.AudienceMismatch: {
		"our audience among others", "our audience twice",
	},
	decision.ClaimsInvalid: {
		"sub is empty", "sub without a namespace", "sub is null", "sub of nobody", "sub with a namespace in capitals",
		"sub with a space before", "a NUL in sub", "a terminal's escape in sub", "a control character of ISO 6429 in sub", "a long sub",
		"a line break in txn", "a long txn", "txn is empty", "txn is a number", "req_wl is a DNS name", "a tab in scope",
		"a quote in scope", "a space after scope", "scope is null", "scope is a list", "tctx is null", "tctx is a text",
		"rctx is a list",
	},
	decision.HeaderCritical: {
		"crit", "crit, empty", "crit is null", "b64", "zip",
	},
	decision.HeaderKeySource: {
		"jku", "x5u", "x5c", "x5t", "x5t#S256",
	},
	decision.HeaderUnexpected: {
		`header parameter ""`, `header parameter "Alg"`, `header parameter "Crit"`, `header parameter "ENC"`, `header parameter "KID"`,
		`header parameter "Typ"`, `header parameter "alg "`, `header parameter "apu"`, `header parameter "apv"`, `header parameter "aud"`,
		`header parameter "enc"`, `header parameter "epk"`, `header parameter "exp"`, `header parameter "foo"`, `header parameter "iss"`,
		`header parameter "iv"`, `header parameter "jWk"`, `header parameter "nonce"`, `header parameter "p2c"`, `header parameter "p2s"`,
		`header parameter "ppt"`, `header parameter "sub"`, `header parameter "svt"`, `header parameter "tag"`, `header parameter "url"`,
		`header parameter "x5t#s256"`, "header parameter \"\u212aid\"",
	},
	decision.HeaderNested: {
		"nested",
	},
	decision.NotEntitled: {
		"a namespace of another issuer", "a requester of another issuer", "a requester of a foreign domain",
	},
	decision.LifetimeTooLong: {
		"lives for a century", "lives too long",
	},
	decision.TestToken: {
		"minted by hand, for a test", "a test that says it is none",
	},
	decision.TimeInvalid: {
		"exp 0", "exp is a text", "exp has a fraction", "exp with an exponent", "exp with .0", "exp in milliseconds",
		"exp as in RFC 3339", "exp is iat", "exp before iat", "nbf 0",
	},
	decision.TokenBase64: {
		"trailing bits of the header", "trailing bits",
	},
	decision.TokenCharset: {
		"a space before", "a line break",
	},
	decision.TokenJSON: {
		"something follows the claims", "a claim twice", "a member of tctx twice", "a header parameter twice",
		"a claim twice, once escaped", "a header parameter twice, once escaped", "a NUL after the claims", "half of a surrogate pair",
		"half of a surrogate pair in a name", "a character that was lost", "an overlong encoding", "not UTF-8",
	},
	decision.TokenTooDeep: {
		"too deep",
	},
	decision.TypeMismatch: {
		"typ JWT", "typ of an access token", "typ of a workload's token", "typ of a proof of possession", "typ of a logout token",
		"typ with a parameter", "typ with the prefix twice", "typ with a letter that folds", "typ of an older draft", "no typ",
	},
}

func TestDifferenceFromTheLibrary(t *testing.T) {
	accepts := library(t)
	if err := accepts(tokentest.ValidToken(t, noon)); err != nil {
		t.Fatalf("the library refuses a valid token: %v", err)
	}
	found := map[decision.Reason][]string{}
	for _, forgery := range tokentest.ForgedTokens(t, noon) {
		if accepts(forgery.Raw) == nil {
			found[forgery.Reason] = append(found[forgery.Reason], forgery.Name)
		}
	}
	if !reflect.DeepEqual(found, onlyTheLibraryAccepts) {
		t.Errorf("got %#v\nwant %#v", found, onlyTheLibraryAccepts)
	}
}
