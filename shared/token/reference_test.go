package token

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// The reference is a second verifier by the same rules. It reads each part of a token into
// maps, with encoding/json ([parseObjectReference]) and regular expressions. It is slow, and
// here for tests alone: [FuzzAgainstReference] compares the two.

// verifyReference returns the claims, or the reasons that a token may be invalid for. There
// are several only if a part of it has several faults.
func (v *Verifier) verifyReference(raw string) (*identity.Claims, []decision.Reason) {
	var p *parsedReference
	parts, err := splitPartsReference(raw, 3, v.rules.maxBytes)
	if err == nil {
		p, err = decodePartsReference(raw[:len(parts[0])+1+len(parts[1])], parts)
	}
	if err == nil {
		err = p.checkTransactionTokenReference()
	}
	if err != nil {
		return nil, reasonsReference(err)
	}
	trust, times, err := v.rules.checkBeforeSignatureReference(p)
	if err != nil {
		return nil, reasonsReference(err)
	}
	err = verifySignature(&parsed{kid: p.kid, algorithm: p.algorithm, signingInput: p.signingInput, signature: p.signature}, trust.Keys)
	if err != nil {
		return nil, reasonsReference(err)
	}
	claims, err := v.rules.readClaimsReference(p.claims, times, trust)
	if err != nil {
		return nil, reasonsReference(err)
	}
	return claims, nil
}

// faultsError has every fault that may be found first.
type faultsError []error

func (f faultsError) Error() string { return fmt.Sprint([]error(f)) }

func reasonsReference(err error) (reasons []decision.Reason) {
	var faults faultsError
	if !errors.As(err, &faults) {
		return []decision.Reason{ReasonOf(err)}
	}
	for _, fault := range faults {
		reasons = append(reasons, ReasonOf(fault))
	}
	return reasons
}

var (
	namespaceReference = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	scopesReference    = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*$`)
)

func checkNamespaceReference(name string) error {
	if !namespaceReference.MatchString(name) {
		return errors.New("no namespace")
	}
	return nil
}

// parsedReference is a decoded token. Nothing of it is trusted yet.
type parsedReference struct {
	signingInput, signature []byte

	header, claims map[string]any
	payload        []byte // the claims as they are written
	algorithm, kid string
}

// splitPartsReference looks at the text alone: its size (18), its characters (5) and the number
// of its parts (4).
func splitPartsReference(raw string, count, maxBytes int) ([]string, error) {
	if err := checkSize(len(raw), maxBytes); err != nil {
		return nil, err
	}
	if raw == "" {
		return nil, newError(decision.TokenMissing, "the header is empty")
	}
	if i := strings.IndexFunc(raw, isNotTokenCharacterReference); i >= 0 {
		return nil, newError(decision.TokenCharset, "a character outside A-Z a-z 0-9 - _ . at byte %d", i)
	}
	parts := strings.SplitN(raw, ".", count+1)
	if len(parts) != count || slices.Contains(parts, "") {
		return nil, newError(decision.TokenFormat, "not three parts with content")
	}
	return parts, nil
}

func isNotTokenCharacterReference(r rune) bool {
	return !('A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
}

// decodePartsReference reads header, claims and, if it is among the parts, the signature.
func decodePartsReference(signingInput string, parts []string) (*parsedReference, error) {
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = strictBase64.DecodeString(part); err != nil {
			return nil, newError(decision.TokenBase64, "part %d is not strict base64url", i+1)
		}
	}
	p := &parsedReference{signingInput: []byte(signingInput), payload: decoded[1], signature: decoded[2]}
	var err error
	if p.header, err = readJSONReference("header", decoded[0]); err != nil {
		return nil, err
	}
	p.algorithm, _ = p.header["alg"].(string)
	return p, p.checkHeaderReference()
}

// readJSONReference reads a part that is an object, by strict rules (7, 18).
func readJSONReference(part string, data []byte) (map[string]any, error) {
	object, faults := parseObjectReference(data)
	var errs faultsError
	for _, fault := range faults {
		reason := decision.TokenJSON
		if strings.HasPrefix(fault, "nested deeper") {
			reason = decision.TokenTooDeep
		}
		errs = append(errs, newError(reason, "%s: %s", part, fault))
	}
	if errs != nil {
		return nil, errs
	}
	return object, nil
}

// checkHeaderReference rejects every header parameter that is not allowed (8, 9, 4, 26).
func (p *parsedReference) checkHeaderReference() error {
	for _, banned := range bannedParameters {
		if _, present := p.header[banned.name]; present {
			return newError(banned.reason, "header parameter %s", banned.name)
		}
	}
	for name := range p.header {
		if !slices.Contains(allowedParameters, name) {
			return newError(decision.HeaderUnexpected, "a header parameter besides alg, kid and typ")
		}
	}
	return nil
}

// checkTransactionTokenReference reads the claims (7), and checks the type (11), the algorithm (3)
// and the key id (10) of our own kind of token.
func (p *parsedReference) checkTransactionTokenReference() (err error) {
	if p.claims, err = readJSONReference("claims", p.payload); err != nil {
		return err
	}
	if typ, _ := p.header["typ"].(string); !isMediaType(typ) {
		return newError(decision.TypeMismatch, "typ is not %s", mediaType)
	}
	if isBannedAlgorithm(p.algorithm) {
		return newError(decision.AlgorithmBanned, "alg is none or a symmetric algorithm")
	}
	p.kid, _ = p.header["kid"].(string)
	if p.kid == "" || len(p.kid) > maxKeyID {
		return newError(decision.KeyIDMissing, "kid is absent, no text, or longer than %d bytes", maxKeyID)
	}
	return nil
}

// checkBeforeSignatureReference finds the issuer's trust entry and checks the times, which is
// cheap. Nothing else of the claims may be read before the signature is verified (21).
func (r claimRules) checkBeforeSignatureReference(p *parsedReference) (Trust, tokenTimes, error) {
	trust, err := r.findTrustReference(p)
	if err != nil {
		return Trust{}, tokenTimes{}, err
	}
	times, err := readTimesReference(p.claims)
	if err != nil {
		return Trust{}, tokenTimes{}, err
	}
	return trust, times, times.check(r.now(), trust)
}

// findTrustReference selects the issuer's own keys by the issuer's name. It never searches the
// key sets of other issuers (12).
func (r claimRules) findTrustReference(p *parsedReference) (Trust, error) {
	issuer, _ := p.claims["iss"].(string)
	trust, known := r.issuers[issuer]
	if !known {
		return Trust{}, newError(decision.IssuerUnknown, "iss is not trusted")
	}
	if !slices.Contains(trust.Algorithms, p.algorithm) {
		return Trust{}, newError(decision.AlgorithmRefused, "alg is not an algorithm of this issuer")
	}
	return trust, nil
}

// readClaimsReference checks the audience (13), the required claims (15), what the issuer may
// assert (23), and that the token is not a test token (24).
func (r claimRules) readClaimsReference(claims map[string]any, times tokenTimes, trust Trust) (*identity.Claims, error) {
	if !isAudienceReference(claims["aud"], trust.Audience) {
		return nil, newError(decision.AudienceMismatch, "aud is not exactly the configured audience")
	}
	c := &identity.Claims{
		Issuer: trust.Issuer, Audience: trust.Audience,
		IssuedAt: time.Unix(times.issued, 0).UTC(), Expires: time.Unix(times.expires, 0).UTC(),
	}
	if err := readMembersReference(claims, c); err != nil {
		return nil, &Error{Reason: decision.ClaimsInvalid, Cause: err}
	}
	requester, err := r.domains.ParseWorkload(c.Requester)
	if err != nil {
		return nil, &Error{Reason: decision.ClaimsInvalid, Cause: fmt.Errorf("req_wl: %w", identity.ErrNotSPIFFE)}
	}
	if err := trust.checkEntitlement(c, requester); err != nil {
		return nil, &Error{Reason: decision.NotEntitled, Cause: err}
	}
	// The value does not count: only a minter of test tokens writes this member.
	if _, marked := c.Tctx[testMember]; marked && !r.allowTest {
		return nil, newError(decision.TestToken, "tctx.%s is present, and test tokens are not accepted", testMember)
	}
	return c, nil
}

// isAudienceReference reports whether aud is the text want, or a list of this one text. A token
// that is also valid elsewhere is invalid here (13).
func isAudienceReference(aud any, want string) bool {
	if list, ok := aud.([]any); ok && len(list) == 1 {
		aud = list[0]
	}
	text, ok := aud.(string)
	return ok && text == want
}

// readMembersReference reads the claims that are texts or objects (15).
func readMembersReference(claims map[string]any, c *identity.Claims) (err error) {
	required := []struct {
		name string
		into *string
	}{{"txn", &c.Txn}, {"sub", &c.Subject}, {"req_wl", &c.Requester}}
	for _, r := range required {
		if *r.into, err = readTextReference(claims, r.name); err != nil {
			return err
		}
		if *r.into == "" {
			return fmt.Errorf("%s is empty", r.name)
		}
	}
	if len(c.Txn) > maxTxn || strings.ContainsFunc(c.Txn, isNotVisible) {
		return fmt.Errorf("txn is longer than %d bytes, or has a character that a response header cannot hold", maxTxn)
	}
	if namespace, id, _ := strings.Cut(c.Subject, ":"); checkNamespaceReference(namespace) != nil || id == "" {
		return errors.New("sub is not NAMESPACE:ID")
	}
	if c.Scope, err = readTextReference(claims, "scope"); err != nil {
		return err
	}
	if c.Scope != "" && !scopesReference.MatchString(c.Scope) {
		return errors.New("scope has characters outside RFC 6749 section 3.3")
	}
	if c.Tctx, err = readObjectReference(claims, "tctx"); err != nil {
		return err
	}
	c.Rctx, err = readObjectReference(claims, "rctx")
	return err
}

func readTextReference(claims map[string]any, name string) (string, error) {
	value, ok := claims[name].(string)
	if !ok {
		return "", fmt.Errorf("%s is not a text of at most %d bytes", name, maxText)
	}
	return value, checkTextClaimReference(name, value)
}

// readObjectReference reads an object. One that is absent is empty: the draft only recommends it.
func readObjectReference(claims map[string]any, name string) (map[string]any, error) {
	value, present := claims[name]
	if !present {
		return map[string]any{}, nil
	}
	members, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", name)
	}
	return members, nil
}

// checkTextClaimReference rejects a text that is too long, or that holds a control character:
// logs, headers and terminals take such a character for a command.
func checkTextClaimReference(name, value string) error {
	if len(value) > maxText {
		return fmt.Errorf("%s is not a text of at most %d bytes", name, maxText)
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return fmt.Errorf("%s has a control character", name)
	}
	return nil
}

// readTimesReference requires positive integers: some readers take 0 as "never" (14).
func readTimesReference(claims map[string]any) (tokenTimes, error) {
	t := tokenTimes{}
	var ok bool
	if t.issued, ok = claims["iat"].(int64); !ok || t.issued <= 0 {
		return t, newError(decision.TimeInvalid, "iat is not a positive integer")
	}
	if t.expires, ok = claims["exp"].(int64); !ok || t.expires <= t.issued || t.expires > maxDate {
		return t, newError(decision.TimeInvalid, "exp is not an integer after iat and before the year 10000")
	}
	if nbf, present := claims["nbf"]; present {
		if t.notBefore, ok = nbf.(int64); !ok || t.notBefore <= 0 || t.notBefore > t.expires {
			return t, newError(decision.TimeInvalid, "nbf is not a positive integer up to exp")
		}
	}
	return t, nil
}
