package kind

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

const (
	lead         = 45 * time.Second  // from the distribution of the new key until it signs
	rotationLoad = 120 * time.Second // length of the load, which covers the whole rotation
)

// testKeyRotation replaces the signing key under load: the new key is published and distributed, signs after
// the lead, and then the old key is withdrawn. A token of the old key is valid before, and has an unknown key
// afterwards. So the requests that pass then have tokens of the new key.
func (e *Environment) testKeyRotation(ctx context.Context) ([]string, error) {
	oldToken, err := e.newTokenSource()
	if err != nil {
		return nil, err
	}
	if err := e.awaitReason(ctx, oldToken(), "no_rule"); err != nil {
		return nil, fmt.Errorf("before: %w", err)
	}
	began := time.Now()
	tally, err := e.changeUnderLoad(ctx, rotationLoad, func(ctx context.Context) error {
		if err := e.rotateKey(ctx); err != nil {
			return err
		}
		return e.awaitReason(ctx, oldToken(), "kid_unknown")
	})
	if err != nil {
		return nil, err
	}
	e.out.printLine("   %d requests", tally.Sent())
	return e.describeLostInChange(ctx, tally, began)
}

// rotateKey takes as long as the lead.
func (e *Environment) rotateKey(ctx context.Context) error {
	before, err := keyset.LoadSigningKeys(e.runFile("keys"))
	if err != nil {
		return err
	}
	if err := e.addKey(ctx, east, lead); err != nil {
		return err
	}
	signs := time.Now().Add(lead)
	if err := e.applyKeys(ctx); err != nil {
		return err
	}
	err = e.waitFor(ctx, "the new key to sign", volumeBound, func(context.Context) (string, error) {
		// A margin for the last tokens of the old key, which are in use for milliseconds.
		if time.Now().Before(signs.Add(5 * time.Second)) {
			return "its time to sign has not come", nil
		}
		return "", nil
	})
	if err != nil {
		return err
	}
	if err := e.removeKey(before.Keys()[0].ID()); err != nil {
		return err
	}
	if err := e.publishKeys(ctx, east); err != nil {
		return err
	}
	return e.applyKeys(ctx)
}

// removeKey removes a key from the directory at once, as after a leak. Its own times would keep it published
// for minutes.
func (e *Environment) removeKey(kid string) error {
	plans, err := os.ReadFile(e.runFile("keys", "keys.yaml"))
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(plans), "\n")
	from := slices.IndexFunc(lines, func(line string) bool { return strings.TrimSpace(line) == kid+":" })
	if from < 0 {
		return fmt.Errorf("keys.yaml does not list %s", kid)
	}
	const entry = 5 // the kid and its four times
	if err := os.WriteFile(e.runFile("keys", "keys.yaml"), []byte(strings.Join(slices.Delete(lines, from, from+entry), "")), 0o600); err != nil {
		return err
	}
	return os.Remove(e.runFile("keys", kid+".pem"))
}

// newTokenSource returns a function that signs tokens with the keys that exist now.
func (e *Environment) newTokenSource() (func() string, error) {
	keys, err := keyset.LoadSigningKeys(e.runFile("keys"))
	if err != nil {
		return nil, err
	}
	minter, err := token.NewMinter(token.MinterConfig{
		Issuer: "https://tyk.demo.meshpass.dev", Audience: "demo.meshpass.dev", Lifetime: token.MaxLifetime, MinRemaining: time.Second, Keys: keys,
	})
	if err != nil {
		return nil, err
	}
	alice := identity.Identity{
		Subject: identity.Subject{Namespace: "demo", ID: "alice"}, Scopes: []string{"orders.read"},
		Requester: "spiffe://cluster.local/ns/edge/sa/tyk-gateway", API: identity.API{ID: "orders-jwt", Name: "Orders, JWT"}, Org: "demo", Method: "jwt",
		Claims: map[string]any{"tenant": "acme"},
	}
	if _, _, err := minter.Mint(alice); err != nil {
		return nil, err
	}
	return func() string { raw, _, _ := minter.Mint(alice); return raw }, nil
}

// awaitReason waits until a request of inventory to orders with this token is denied for that reason. With
// no_rule the token itself is valid: the policy of orders does not name inventory.
func (e *Environment) awaitReason(ctx context.Context, raw, reason string) error {
	sent := 0
	return e.waitFor(ctx, "the answer "+reason, volumeBound, func(ctx context.Context) (string, error) {
		sent++
		answer, err := e.Send(ctx, scenarios.Request{ID: fmt.Sprintf("rotation.%s.%d", reason, sent), Send: scenarios.Send{
			From: "ns/shop/sa/inventory", To: "orders", Method: "GET", Path: "/tenants/acme/orders/1001",
			Headers: map[string][]string{identity.Header: {raw}},
		}})
		if err != nil || answer.BodyField("reason") == reason {
			return "", err
		}
		return fmt.Sprintf("%d %s", answer.Status, answer.BodyField("reason")), nil
	})
}
