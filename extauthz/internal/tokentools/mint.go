package tokentools

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// MintRequest is what a token for a test is to say.
type MintRequest struct {
	KeyDir           string // of test keys: see keyset.SigningKeys.Test
	Issuer, Audience string
	Subject          string // NAMESPACE:ID
	Workload         string // req_wl
	Scope            string // space-delimited
	Claims           string // a JSON object: mapped members of tctx
	Lifetime         time.Duration
	Now              func() time.Time
}

// Minted is a token that production refuses: tctx.test is true.
type Minted struct {
	Token   string    `json:"token"`
	Txn     string    `json:"txn"`
	Expires time.Time `json:"expires"`
}

// Mint signs as a gateway would, with test keys only. With others the error is
// [ErrNoToken].
func Mint(o MintRequest) (Minted, error) {
	id, err := o.parseIdentity()
	if err != nil {
		return Minted{}, err
	}
	keys, err := keyset.LoadSigningKeys(o.KeyDir)
	if err != nil {
		return Minted{}, err
	}
	minter, err := token.NewMinter(token.MinterConfig{
		Issuer: o.Issuer, Audience: o.Audience, Lifetime: o.Lifetime, MinRemaining: time.Second,
		Keys: keys, Test: true, Now: o.Now,
	})
	if errors.Is(err, token.ErrProductionKeys) {
		return Minted{}, fmt.Errorf("%w token: %s: %w", ErrNoToken, o.KeyDir, err)
	}
	if err != nil {
		return Minted{}, err
	}
	raw, claims, err := minter.Mint(id)
	if err != nil {
		return Minted{}, err
	}
	return Minted{Token: raw, Txn: claims.Txn, Expires: claims.Expires}, nil
}

func (o MintRequest) parseIdentity() (identity.Identity, error) {
	namespace, id, ok := strings.Cut(o.Subject, ":")
	if !ok {
		return identity.Identity{}, errors.New("--subject: want NAMESPACE:ID, such as okta:alice")
	}
	claims := map[string]any{}
	if o.Claims != "" {
		decoder := json.NewDecoder(bytes.NewReader([]byte(o.Claims)))
		decoder.UseNumber()
		if err := decoder.Decode(&claims); err != nil || decoder.More() {
			return identity.Identity{}, errors.New(`--claims: want one JSON object, such as {"tenant":"acme"}`)
		}
	}
	return identity.Identity{
		Subject: identity.Subject{Namespace: namespace, ID: id}, Scopes: strings.Fields(o.Scope),
		Requester: o.Workload, Claims: claims,
	}, nil
}

// Print writes the token alone, for a variable of the shell.
func (m Minted) Print(to io.Writer) error {
	_, err := io.WriteString(to, m.Token+"\n")
	return err
}
