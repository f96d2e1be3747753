package drills

import (
	"errors"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/envoy"
)

// bothProviders also selects each workload for the other provider.
const bothProviders = `
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

// configDrills are drills with a mistake in Istio's configuration.
func configDrills() []drill {
	misspelt := rigSetup{edits: []fileEdit{
		{"istio/install.yaml", "- name: meshpass-open", "- name: other"},
		{"istio/install.yaml", "- name: meshpass", "- name: another"},
	}}
	return []drill{
		{name: "a policy names a provider that is not there", closed: notAsked, open: notAsked, log: logBadProvider, setup: misspelt, run: namesNoProvider},
		{name: "two providers for one workload", closed: notAsked, open: notAsked, log: logBadProvider, setup: rigSetup{files: map[string]string{"both.yaml": bothProviders}}, run: namesNoProvider},
		{name: "the backstop lacks the signing key", closed: decided, open: keyMissing, log: logNoKey, setup: rigSetup{keyless: true}, run: backstopWithoutKey},
		{name: "Envoy rejects what istiod sends", closed: decided, open: decided, log: "", run: pushEmptyKeySet},
	}
}

// namesNoProvider expects that Istio replaces the check by its own denial, which only Istio's log
// shows.
func namesNoProvider(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.checkAnswers(t, closed, d.closed, d.log)
	r.checkAnswers(t, open, d.open, d.log)
	if got := a.readRecords(t); len(got) > 0 {
		t.Errorf("the authorizer was asked: %v", got)
	}
}

// backstopWithoutKey shows that the backstop denies while the authorizer is still available.
func backstopWithoutKey(t *testing.T, r *rig, d drill) {
	a := r.startAuthorizer(t, authorizerHost)
	r.checkAnswers(t, closed, d.closed, d.log)
	r.checkAnswers(t, open, d.open, d.log)
	a.kill()
	r.checkAnswers(t, closed, unavailable, logError)
	r.checkAnswers(t, open, answers{byKind: [requestKinds]string{noKey, noKey, noKey, byRBAC}}, d.log)
}

// pushEmptyKeySet shows that Envoy rejects the whole listener because of an empty key set. It keeps the
// previous listener, at every later push too. A workload that starts in this state has no listener at all.
func pushEmptyKeySet(t *testing.T, r *rig, d drill) {
	r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)
	r.setKeys(t, []byte(`{"keys": []}`))
	eventually(t, "Envoy rejects the listener", func() bool {
		return errors.Is(r.envoys[open].Check(t.Context()), envoy.ErrRejected)
	})
	r.checkAnswers(t, closed, d.closed, d.log)
	r.checkAnswers(t, open, d.open, d.log)
	before := r.rejectedListeners(t, open)
	r.pushPolicy(t)
	eventually(t, "the other Envoy has what was pushed", func() bool { return r.hasPushedPolicy(t, closed) })
	eventually(t, "Envoy rejects the listener again", func() bool { return r.rejectedListeners(t, open) > before })
	r.checkAnswers(t, open, d.open, d.log)
	must(t, r.envoys[open].Stop())
	_, err := envoy.Start(t.Context(), r.envoyOptions(t, open))
	if !errors.Is(err, envoy.ErrRejected) || !strings.Contains(err.Error(), "Jwks doesn't have any valid public key") {
		t.Errorf("started with the rejected configuration: %v", err)
	}
}
