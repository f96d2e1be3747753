package soak

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/meshpass/meshpass/e2e/pace"
)

const (
	policiesEvery = 8 * time.Second // from one state of the switched document to the next
	// policiesGrace is how long the state before may still be active: an authorizer looks at its files every second, and may
	// just start.
	policiesGrace = 5 * time.Second

	switchedPath = "/tenants/acme/orders/1003"
	denied       = "403 meshpass rule_denied"
)

// switchedDocument denies one order to everybody.
const switchedDocument = `apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: soak}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  rules:
    - {name: switched, effect: deny, to: {paths: [` + switchedPath + `]}}
`

// policyChanger changes the documents while they decide. One document comes and goes, and its answers with it. All others
// change in their bytes, so that they are compiled again, and a document with a mistake changes nothing.
type policyChanger struct {
	dir   string
	began time.Time

	mu      sync.Mutex
	changes []policyChange // in the order of time
	written int
}

type policyChange struct {
	at     time.Time
	denies bool
}

// changeUntilDone writes a change every second until ctx ends.
func (c *policyChanger) changeUntilDone(ctx context.Context) error {
	return pace.EverySecond(ctx, func(context.Context) error { return c.changeOnce() })
}

func (c *policyChanger) changeOnce() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written++
	if denies := int(time.Since(c.began)/policiesEvery)%2 == 0; len(c.changes) == 0 || c.changes[len(c.changes)-1].denies != denies {
		return c.switchDocument(denies)
	}
	if c.written%4 == 0 { // rejected: every document stays as it is
		return replaceFile(filepath.Join(c.dir, "mistake.yaml"), fmt.Sprintf("half: [ # %d\n", c.written))
	}
	if err := os.Remove(filepath.Join(c.dir, "mistake.yaml")); err != nil && !os.IsNotExist(err) {
		return err
	}
	file := filepath.Join(c.dir, "orders.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return replaceFile(file, fmt.Sprintf("%s# change %d\n", text[:min(len(text), 4<<10)], c.written))
}

func (c *policyChanger) switchDocument(denies bool) (err error) {
	file := filepath.Join(c.dir, "soak.yaml")
	if denies {
		err = replaceFile(file, switchedDocument)
	} else {
		err = os.Remove(file)
	}
	c.changes = append(c.changes, policyChange{time.Now(), denies})
	return err
}

// replaceFile is atomic, as the swap of a mounted ConfigMap is.
func replaceFile(file, text string) error {
	fresh := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".new") // hidden: no authorizer reads it
	if err := os.WriteFile(fresh, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, file)
}

// rightOutcomes are the outcomes that a request for the switched order may have, which was sent and answered at these times.
func (c *policyChanger) rightOutcomes(sent, answered time.Time) (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state, states := false, []bool{}
	for _, change := range c.changes {
		if change.at.After(answered) {
			break
		}
		if change.at.After(sent.Add(-policiesGrace)) {
			states = append(states, state)
		}
		state = change.denies
	}
	for _, denies := range append(states, state) {
		outcome := "200 orders"
		if denies {
			outcome = denied
		}
		if !slices.Contains(all, outcome) {
			all = append(all, outcome)
		}
	}
	return all
}

func (c *policyChanger) count() (written, switched int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written, len(c.changes)
}
