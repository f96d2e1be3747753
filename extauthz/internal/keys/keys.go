// Package keys is the operator's side of a key directory: it adds keys, writes
// the key set that verifiers get, and tells what happens next and when.
//
// A key must be known to every verifier before it signs, or its tokens are
// refused. So a new key is published at once and signs after the lead, which is
// the time that the slowest verifier takes to get the published set. Nobody can
// know the very first key: that one may sign at once, and only if asked to.
//
// Every command may be run again: what is done already is not done twice.
package keys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// ErrNo says that the directory's state speaks against what was asked. Nothing
// was written.
var ErrNotDone = errors.New("not done")

// maxLeeway is the largest difference of clocks that a verifier may forgive.
const maxLeeway = time.Minute

// KeyRequest is what New is asked for.
type KeyRequest struct {
	Dir, Algorithm string
	Lead           time.Duration // from publishing to signing; whole seconds, 1 at least
	Lifetime       time.Duration // for how long it signs; likewise
	First          bool          // the very first key of the directory, which signs at once
	Test           bool          // the directory is for test keys: see keyset.SigningKeys.Test
	TokenLifetime  time.Duration // how long a token lives at most; zero: token.MaxLifetime
	Now            time.Time
}

// AddKey adds a key, unless one waits for its turn already.
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
		r.addNote("it is a test key: gateways refuse it, and authorizers its tokens, unless insecure.allowTestTokens is set")
	}
	if n.First {
		r.addNote("it signs at once: its tokens are refused (kid_unknown) wherever FILE has not arrived")
	}
	return r, nil
}

func (n KeyRequest) newPlan() keyset.Plan {
	p := keyset.Plan{PublishAt: n.Now.UTC().Truncate(time.Second)}
	p.SignFrom = p.PublishAt
	if !n.First {
		p.SignFrom = p.PublishAt.Add(n.Lead.Truncate(time.Second))
	}
	return n.endPlanAt(p, p.SignFrom.Add(n.Lifetime.Truncate(time.Second)))
}

// endPlanAt gives the plan another end. The key stays published for as long as the
// last of its tokens can live, and a lead longer, because a verifier may be that late.
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
	return tokens + maxLeeway + n.Lead.Truncate(time.Second)
}

// isDone says whether what is asked for is there already.
func (n KeyRequest) isDone(keys []*keyset.SigningKey) (bool, error) {
	if n.First {
		return n.isFirstDone(keys)
	}
	for _, key := range keys {
		if !key.Plan().SignFrom.After(n.Now) {
			continue
		}
		if key.Algorithm() != n.Algorithm {
			return false, fmt.Errorf("%w: key %s (%s) already waits for its turn at %s: let it, or remove it first",
				ErrNotDone, key.ID(), key.Algorithm(), formatTime(key.Plan().SignFrom))
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

// readExisting gives the keys of the directory, none where keys.yaml is not yet there.
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

func readFiles(dir string) (keyset.Files, error) {
	if _, err := os.Stat(filepath.Join(dir, keyset.PlanFileName)); errors.Is(err, os.ErrNotExist) {
		return keyset.Files{}, nil
	}
	return keyset.ReadFiles(dir)
}

func (n KeyRequest) createKey() (kid string, err error) {
	if n.Test {
		return keyset.CreateTestKey(n.Dir, n.Algorithm, n.newPlan())
	}
	return keyset.CreateKey(n.Dir, n.Algorithm, n.newPlan())
}

// lockDir makes the directory if needed, for its owner alone, and keeps a second
// command out while one changes it: both would write keys.yaml, and one key
// would be lost from it.
func lockDir(dir string) (unlock func(), err error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	held, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		held.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { held.Close() }, nil
}
