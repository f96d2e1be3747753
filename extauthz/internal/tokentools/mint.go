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

// MintRequest describes a token for a test.
type MintRequest struct {
	KeyDir           string // of test keys: see keyset.SigningKeys.IsTest
	Issuer, Audience string
	Subject          string // NAMESPACE:ID
	Workload         string // req_wl
	Scope            string // space-delimited
	Claims           string // a JSON object: mapped members of tctx
	Lifetime         time.Duration
	Now              func() time.Time
}

// Minted is a token that production rejects: its claim tctx.test is true.
type Minted struct {
	Token   string    `json:"token"`
	Txn     string    `json:"txn"`
	Expires time.Time `json:"expires"`
}

// Mint signs a token as a gateway would, with test keys only. With other keys the error
// is [ErrNoToken].
func Mint(r MintRequest) (Minted, error) {
	id, err := r.parseIdentity()
	if err != nil {
		return Minted{}, err
	}
	keys, err := keyset.LoadSigningKeys(r.KeyDir)
	if err != nil {
		return Minted{}, err
	}
	minter, err := token.NewMinter(token.MinterConfig{
		Issuer: r.Issuer, Audience: r.Audience, Lifetime: r.Lifetime, MinRemaining: time.Second,
		Keys: keys, Test: true, Now: r.Now,
	})
	if errors.Is(err, token.ErrProductionKeys) {
		return Minted{}, fmt.Errorf("%w: %s: %w", ErrNoToken, r.KeyDir, err)
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

func (r MintRequest) parseIdentity() (identity.Identity, error) {
	namespace, id, ok := strings.Cut(r.Subject, ":")
	if !ok {
		return identity.Identity{}, errors.New("--subject: want NAMESPACE:ID, such as okta:alice")
	}
	claims := map[string]any{}
	if r.Claims != "" {
		decoder := json.NewDecoder(bytes.NewReader([]byte(r.Claims)))
		decoder.UseNumber()
		if err := decoder.Decode(&claims); err != nil || decoder.More() {
			return identity.Identity{}, errors.New(`--claims: want one JSON object, such as {"tenant":"acme"}`)
		}
	}
	return identity.Identity{
		Subject: identity.Subject{Namespace: namespace, ID: id}, Scopes: strings.Fields(r.Scope),
		Requester: r.Workload, Claims: claims,
	}, nil
}

// Print writes only the token, for a variable of the shell.
func (m Minted) Print(to io.Writer) error {
	_, err := io.WriteString(to, m.Token+"\n")
	return err
}
