package listedit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// ErrImpossibleValue is the error of a value that no token can have: the entry would have
// no effect.
var ErrImpossibleValue = errors.New("no token has such a value")

// checkValue rejects a value that no token can have.
func (r Request) checkValue() error {
	switch r.Kind {
	case revocation.Sub:
		namespace, id, _ := strings.Cut(r.Value, ":")
		if token.CheckNamespace(namespace) != nil || id == "" {
			return fmt.Errorf("sub: %w: want NAMESPACE:ID, such as okta:alice", ErrImpossibleValue)
		}
		if err := token.CheckSubject(identity.Subject{Namespace: namespace, ID: id}); err != nil {
			return fmt.Errorf("sub: %w: %w", ErrImpossibleValue, err)
		}
	case revocation.KID:
		if !isDigest(r.Value) {
			return fmt.Errorf("kid: %w: want the key's JWK thumbprint, 43 characters of base64url, as meshpass keys status shows it", ErrImpossibleValue)
		}
	case revocation.SID:
		if !isDigest(r.Value) {
			return fmt.Errorf("sid: %w: want tctx.sid of an audit record, 43 characters of base64url; with --secret-file it is computed from the key", ErrImpossibleValue)
		}
	case revocation.Txn:
		if id, err := uuid.Parse(r.Value); err != nil || id.String() != r.Value {
			return fmt.Errorf("txn: %w: want a UUID in lower case, as in the response header X-Meshpass-Txn and in audit records", ErrImpossibleValue)
		}
	}
	return nil
}

// isDigest reports whether the text is a SHA-256 in base64url: a JWK thumbprint (RFC
// 7638) or the pseudonym of a session.
func isDigest(text string) bool {
	digest, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(digest) == 32 && !strings.ContainsAny(text, "\r\n")
}

// CheckIssuer rejects an issuer that a configuration does not trust.
func CheckIssuer(issuer string, trusted []string) error {
	if slices.Contains(trusted, issuer) {
		return nil
	}
	return fmt.Errorf("--issuer: %q is not trusted by the configuration, so the entry would have no effect: want one of %s", issuer, strings.Join(trusted, ", "))
}
