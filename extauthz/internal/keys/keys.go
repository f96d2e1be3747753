// Package keys manages a key directory for operators: it adds and rotates keys, writes
// the key set that verifiers get, and reports what happens next and when.
//
// Every verifier must know a key before it signs, or its tokens are rejected. So a new
// key is published at once and signs after the lead, which is the time that the slowest
// verifier takes to get the published set. No verifier can know the very first key: it
// may sign at once, but only on request.
//
// Every command may be run again: it does not repeat a change that is done already.
package keys

import (
	"errors"
	"fmt"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// ErrNotDone is the error of a change that the state of the directory does not allow.
// Nothing was written.
var ErrNotDone = errors.New("not done")

// KeyRequest describes the key to add.
type KeyRequest struct {
	Dir           string
	Algorithm     string        // empty: that of the newest key of the directory, or [keyset.DefaultAlgorithm] for its first key
	Lead          time.Duration // from publishing to signing; 1 s or more, whole seconds count
	Lifetime      time.Duration // how long it signs; 1 s or more, whole seconds count
	First         bool          // the very first key of the directory, which signs at once
	Test          bool          // the directory is for test keys: see keyset.SigningKeys.IsTest
	TokenLifetime time.Duration // longest lifetime of a token; zero: token.MaxLifetime
	Now           time.Time
}

// AddKey adds a key, unless one waits to sign already.
func AddKey(n KeyRequest) (Report, error) {
	if n.Lead < time.Second || n.Lifetime < time.Second {
		return Report{}, errors.New("lead and lifetime of a key must be 1s or more")
	}
	if n.Lifetime < n.Lead {
		return Report{}, fmt.Errorf("lifetime of a key %v: want the lead, %v, or more: the key would stop signing before authorizers know the next one", n.Lifetime, n.Lead)
	}
	unlock, err := lockDir(n.Dir)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	before, err := n.readExisting()
	if err != nil {
		return Report{}, err
	}
	n.Algorithm = n.chooseAlgorithm(before)
	if done, err := n.isDone(before.Keys()); done || err != nil {
		return newReport(n.Dir, "", before, n.Now), err
	}
	kid, err := n.createKey()
	if err != nil {
		return Report{}, err
	}
	after, err := keyset.LoadSigningKeys(n.Dir)
	if err != nil {
		return Report{}, err
	}
	r := newReport(n.Dir, kid, after, n.Now)
	r.addNote("publish it now: meshpass keys publish --dir %s --out FILE, and give FILE to every authorizer", n.Dir)
	if n.Test {
		r.addNote("it is a test key: gateways reject it, and authorizers reject its tokens, unless insecure.allowTestTokens is set")
	}
	if n.First {
		r.addNote("it signs at once: authorizers reject its tokens (kid_unknown) until they have FILE")
	}
	return r, nil
}

// chooseAlgorithm keeps the algorithm of the keys before, unless another one is requested: the
// authorizers of an installation may not accept another one.
func (n KeyRequest) chooseAlgorithm(before *keyset.SigningKeys) string {
	if n.Algorithm != "" {
		return n.Algorithm
	}
	if keys := before.Keys(); len(keys) > 0 { // the newest first
		return keys[0].Algorithm()
	}
	return keyset.DefaultAlgorithm
}

func (n KeyRequest) newPlan() keyset.Plan {
	p := keyset.Plan{PublishAt: n.Now.UTC().Truncate(time.Second)}
	p.SignFrom = p.PublishAt
	if !n.First {
		p.SignFrom = p.PublishAt.Add(n.Lead.Truncate(time.Second))
	}
	return n.endPlanAt(p, p.SignFrom.Add(n.Lifetime.Truncate(time.Second)))
}

// endPlanAt returns the plan with another end. The key stays published for as long as its
// last token can live, and a lead longer, because a verifier may be that late.
func (n KeyRequest) endPlanAt(p keyset.Plan, end time.Time) keyset.Plan {
	p.SignUntil = end
	p.RemoveAfter = end.Add(n.retentionAfterSigning())
	return p
}

func (n KeyRequest) retentionAfterSigning() time.Duration {
	tokens := n.TokenLifetime
	if tokens == 0 {
		tokens = token.MaxLifetime
	}
	return tokens + token.MaxLeeway + n.Lead.Truncate(time.Second)
}

// isDone reports whether the requested key exists already.
func (n KeyRequest) isDone(keys []*keyset.SigningKey) (bool, error) {
	if n.First {
		return n.isFirstDone(keys)
	}
	for _, key := range keys {
		if !key.Plan().SignFrom.After(n.Now) {
			continue
		}
		if key.Algorithm() != n.Algorithm {
			return false, fmt.Errorf("%w: key %s (%s) already waits to sign at %s: let it sign, or remove it first",
				ErrNotDone, key.ID(), key.Algorithm(), printer.FormatTime(key.Plan().SignFrom))
		}
		return true, nil
	}
	return false, nil
}

func (n KeyRequest) isFirstDone(keys []*keyset.SigningKey) (bool, error) {
	for _, key := range keys {
		if key.Plan().MaySignAt(n.Now) && key.Algorithm() == n.Algorithm {
			return true, nil
		}
	}
	if len(keys) > 0 {
		return false, fmt.Errorf("%w: --first is for the very first key, and %s has %d: no verifier could know a key that signs at once; "+
			"leave --first out, with a --lead as long as your slowest verifier needs", ErrNotDone, n.Dir, len(keys))
	}
	return false, nil
}

// readExisting returns the keys of the directory, which may be empty.
func (n KeyRequest) readExisting() (*keyset.SigningKeys, error) {
	files, err := readFiles(n.Dir)
	if err != nil {
		return nil, err
	}
	return n.parseKeys(files)
}

func (n KeyRequest) parseKeys(files keyset.Files) (*keyset.SigningKeys, error) {
	if len(files) == 0 {
		return &keyset.SigningKeys{}, nil
	}
	set, err := files.SigningKeys()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.Dir, err)
	}
	if set.IsTest() != n.Test {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotDone, n.Dir, keyset.ErrMixedKeys)
	}
	return set, nil
}

func (n KeyRequest) createKey() (kid string, err error) {
	if n.Test {
		return keyset.CreateTestKey(n.Dir, n.Algorithm, n.newPlan())
	}
	return keyset.CreateKey(n.Dir, n.Algorithm, n.newPlan())
}
