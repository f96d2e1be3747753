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
	lead      = 45 * time.Second  // from giving the new key to everyone until it signs
	rotations = 120 * time.Second // of load, in which all of it happens
)

// keyRotation replaces the signing key under load: the new one is published and given to all, signs
// after the lead, and then the old one is withdrawn. A token of the old key is good before and is
// refused as one of an unknown key afterwards, so what passes then is signed with the new one.
func (e *Environment) keyRotation(ctx context.Context) ([]string, error) {
	old, err := e.oldToken()
	if err != nil {
		return nil, err
	}
	if err := e.verdict(ctx, old(), "no_rule"); err != nil {
		return nil, fmt.Errorf("before: %w", err)
	}
	tally, err := e.under(ctx, rotations, func(ctx context.Context) error {
		if err := e.rotate(ctx); err != nil {
			return err
		}
		return e.verdict(ctx, old(), "kid_unknown")
	})
	e.out.line("   %d requests", tally.Sent())
	return lost(tally), err
}

// rotate takes as long as the lead.
func (e *Environment) rotate(ctx context.Context) error {
	before, err := keyset.LoadSigningKeys(e.path("keys"))
	if err != nil {
		return err
	}
	if err := e.newKey(ctx, east, lead); err != nil {
		return err
	}
	signs := time.Now().Add(lead)
	if err := e.giveKeys(ctx); err != nil {
		return err
	}
	err = e.await(ctx, "the new key to sign", volumeBound, func(context.Context) (string, error) {
		// With a moment for the last tokens of the old key: each is on its way for milliseconds.
		if time.Now().Before(signs.Add(5 * time.Second)) {
			return "its time has not come", nil
		}
		return "", nil
	})
	if err != nil {
		return err
	}
	if err := e.withdraw(before.Keys()[0].ID()); err != nil {
		return err
	}
	if err := e.publish(ctx, east); err != nil {
		return err
	}
	return e.giveKeys(ctx)
}

// withdraw takes a key out of the directory at once, as after a leak. It is not left to its times,
// which keep it published for minutes.
func (e *Environment) withdraw(kid string) error {
	plans, err := os.ReadFile(e.path("keys", "keys.yaml"))
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(plans), "\n")
	from := slices.IndexFunc(lines, func(line string) bool { return strings.TrimSpace(line) == kid+":" })
	if from < 0 {
		return fmt.Errorf("keys.yaml does not list %s", kid)
	}
	const entry = 5 // the kid and its four times
	if err := os.WriteFile(e.path("keys", "keys.yaml"), []byte(strings.Join(slices.Delete(lines, from, from+entry), "")), 0o600); err != nil {
		return err
	}
	return os.Remove(e.path("keys", kid+".pem"))
}

// oldToken signs, whenever it is called, with the keys that are there now.
func (e *Environment) oldToken() (func() string, error) {
	keys, err := keyset.LoadSigningKeys(e.path("keys"))
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

// verdict waits until a token that inventory shows to orders is refused for that reason. With no_rule
// the token itself was found good: inventory is not named by the policy of orders.
func (e *Environment) verdict(ctx context.Context, raw, reason string) error {
	sent := 0
	return e.await(ctx, "the answer "+reason, volumeBound, func(ctx context.Context) (string, error) {
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
