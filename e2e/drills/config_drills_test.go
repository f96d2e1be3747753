package drills

import (
	"errors"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/envoy"
)

// both selects each workload for the other provider, too.
const both = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closed-too, namespace: istio-system}
spec: {selector: {matchLabels: {app: reports}}, action: CUSTOM, provider: {name: meshpass}, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: open-too, namespace: istio-system}
spec: {selector: {matchLabels: {app: orders}}, action: CUSTOM, provider: {name: meshpass-open}, rules: [{}]}
`

// configDrills: Istio was told something else than was meant.
func configDrills() []drill {
	misspelt := setup{edits: []edit{
		{"istio/install.yaml", "- name: meshpass-open", "- name: other"},
		{"istio/install.yaml", "- name: meshpass", "- name: another"},
	}}
	return []drill{
		{name: "a policy names a provider that is not there", closed: unasked, open: unasked, log: logBadProvider, setup: misspelt, run: withoutUs},
		{name: "two providers for one workload", closed: unasked, open: unasked, log: logBadProvider, setup: setup{files: map[string]string{"both.yaml": both}}, run: withoutUs},
		{name: "the backstop lacks the signing key", closed: decided, open: keyless, log: logNoKey, setup: setup{keyless: true}, run: withoutKey},
		{name: "Envoy refuses what istiod sends", closed: decided, open: decided, log: "", run: emptyKeySet},
	}
}

// withoutUs: Istio replaces the check by a refusal of its own, and says so in its
// own log only.
func withoutUs(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.see(t, closed, d.closed, d.log)
	r.see(t, open, d.open, d.log)
	if got := a.records(t); len(got) > 0 {
		t.Errorf("the authorizer was asked: %v", got)
	}
}

// withoutKey: the backstop does not wait until we are away.
func withoutKey(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.see(t, closed, d.closed, d.log)
	r.see(t, open, d.open, d.log)
	a.kill()
	r.see(t, closed, refused, logError)
	r.see(t, open, answers{of: [kinds]string{noKey, noKey, noKey, byRBAC}}, d.log)
}

// emptyKeySet: Envoy refuses the whole listener for it and keeps the one before,
// now and at every later push. A workload that starts so has no listener at all.
func emptyKeySet(t *testing.T, r *rig, d drill) {
	r.startAuthorizer(t, authorizerHost)
	r.recovers(t)
	r.setKeys(t, []byte(`{"keys": []}`))
	eventually(t, "Envoy refuses the listener", func() bool {
		return errors.Is(r.envoys[open].Check(t.Context()), envoy.ErrRejected)
	})
	r.see(t, closed, d.closed, d.log)
	r.see(t, open, d.open, d.log)
	before := r.listenersRefused(t, open)
	r.push(t)
	eventually(t, "the other Envoy has what was pushed", func() bool { return r.hasPushed(t, closed) })
	eventually(t, "Envoy refuses the listener again", func() bool { return r.listenersRefused(t, open) > before })
	r.see(t, open, d.open, d.log)
	must(t, r.envoys[open].Stop())
	_, err := envoy.Start(t.Context(), r.envoyOptions(t, open))
	if !errors.Is(err, envoy.ErrRejected) || !strings.Contains(err.Error(), "Jwks doesn't have any valid public key") {
		t.Errorf("started with the refused configuration: %v", err)
	}
}
