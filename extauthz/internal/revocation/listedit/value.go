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

// ErrForm says that no token can have the value, so that the entry would refuse nothing.
var ErrImpossibleValue = errors.New("no token has such a value")

// checkValue refuses a value that is of another form than tokens have.
func (o Request) checkValue() error {
	switch o.Kind {
	case revocation.Sub:
		namespace, id, _ := strings.Cut(o.Value, ":")
		if token.CheckNamespace(namespace) != nil || id == "" {
			return fmt.Errorf("sub: %w: want NAMESPACE:ID, such as okta:alice", ErrImpossibleValue)
		}
		if err := token.CheckSubject(identity.Subject{Namespace: namespace, ID: id}); err != nil {
			return fmt.Errorf("sub: %w: %w", ErrImpossibleValue, err)
		}
	case revocation.KID:
		if !isDigest(o.Value) {
			return fmt.Errorf("kid: %w: want the key's JWK thumbprint, 43 characters of base64url, as meshpass keys status shows it", ErrImpossibleValue)
		}
	case revocation.SID:
		if !isDigest(o.Value) {
			return fmt.Errorf("sid: %w: want tctx.sid of an audit record, 43 characters of base64url; with --secret-file it is made from the key", ErrImpossibleValue)
		}
	case revocation.Txn:
		if id, err := uuid.Parse(o.Value); err != nil || id.String() != o.Value {
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

// CheckIssuer refuses an issuer that is none of those that a configuration trusts.
func CheckIssuer(issuer string, trusted []string) error {
	if slices.Contains(trusted, issuer) {
		return nil
	}
	return fmt.Errorf("--issuer: %q is not trusted by the configuration, so that the entry would refuse nothing: want one of %s", issuer, strings.Join(trusted, ", "))
}
