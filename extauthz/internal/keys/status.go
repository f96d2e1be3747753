package keys

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// StatusOptions is what Status looks at, and by which measures.
type StatusOptions struct {
	Place         string        // what the keys are in, for people
	Lead          time.Duration // what the slowest verifier takes to get the published set
	TokenLifetime time.Duration // how long a token lives at most; zero: token.MaxLifetime
	Ahead         time.Duration // how early it is a problem that nothing will sign
	Now           time.Time
}

// Status tells the state of a key directory. out names the file of the key set,
// if that is to be looked at too.
func Status(c StatusOptions, dir, out string) (Report, error) {
	files, err := keyset.ReadFiles(dir)
	if err != nil {
		return Report{}, err
	}
	c.Place = dir
	if out == "" {
		return c.BuildReport(files, "", nil)
	}
	published, err := readSet(out)
	if err != nil {
		return Report{}, err
	}
	return c.BuildReport(files, out, published)
}

// BuildReport tells the state of a key directory's files, and of what is published if
// out names where that is.
func (c StatusOptions) BuildReport(files keyset.Files, out string, published []byte) (Report, error) {
	set, err := files.SigningKeys()
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", c.Place, err)
	}
	stray, err := files.StrayFiles()
	if err != nil {
		return Report{}, err
	}
	r := newReport(c.Place, "", set, c.Now)
	for _, name := range stray {
		r.addProblem("%s is a private key that keys.yaml does not name: meshpass keys rotate removes it", name)
	}
	c.checkGaps(&r, set)
	for _, key := range set.Keys() {
		c.checkTimes(&r, set, key)
	}
	if out != "" {
		c.checkPublished(&r, set, out, published)
	}
	return r, nil
}

// Plain tells what there is and what comes, and judges nothing.
func (c StatusOptions) Plain(files keyset.Files) (Report, error) {
	set, err := files.SigningKeys()
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", c.Place, err)
	}
	return newReport(c.Place, "", set, c.Now), nil
}

func (r *Report) addProblem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

func (c StatusOptions) checkGaps(r *Report, set *keyset.SigningKeys) {
	switch from, until := set.NextGap(c.Now); {
	case !from.After(c.Now):
		r.addProblem("no key signs: gateways refuse every request with 503 no_signing_key")
	case !until.IsZero():
		r.addProblem("no key signs from %s to %s", formatTime(from), formatTime(until))
	case from.Before(c.Now.Add(c.Ahead)):
		r.addProblem("no key signs after %s, and none is to follow: meshpass keys rotate makes one", formatTime(from))
	}
}

// checkTimes finds a key that signs, or will, before verifiers know it, and one that is
// gone before its last token is.
func (c StatusOptions) checkTimes(r *Report, set *keyset.SigningKeys, key *keyset.SigningKey) {
	plan := key.Plan()
	known := plan.PublishAt.Add(c.Lead)
	switch set.StateOf(key, c.Now) {
	case keyset.StateRemoved:
		r.addNote("%s is over: meshpass keys rotate drops it", key.ID())
		return
	case keyset.StateSigning:
		switch {
		case !known.After(c.Now):
		case signsFirst(set, key):
			r.Denials = &Denials{From: plan.SignFrom.UTC(), Until: known.UTC()}
		default:
			r.addProblem("%s signs already, and was published less than the lead (%v) before: authorizers that do not have the new set refuse its tokens until %s at the latest",
				key.ID(), c.Lead, formatTime(known))
		}
	case keyset.StatePlanned, keyset.StatePublished:
		if known.After(plan.SignFrom) {
			r.addProblem("%s is to sign at %s, less than %v after it is published", key.ID(), formatTime(plan.SignFrom), c.Lead)
		}
	}
	gone := plan.SignUntil.Add(KeyRequest{Lead: c.Lead, TokenLifetime: c.TokenLifetime}.retentionAfterSigning())
	if plan.RemoveAfter.Before(gone) {
		r.addProblem("%s leaves the published set at %s, and tokens that it signed live until %s", key.ID(), formatTime(plan.RemoveAfter), formatTime(gone))
	}
}

// signsFirst reports whether no other key signed before this one: then nothing could have
// signed while verifiers got to know it, and there is nothing to repair.
func signsFirst(set *keyset.SigningKeys, key *keyset.SigningKey) bool {
	return !slices.ContainsFunc(set.Keys(), func(other *keyset.SigningKey) bool { return other.Plan().SignFrom.Before(key.Plan().SignFrom) })
}

// checkPublished compares what verifiers get with what they are to have now.
func (c StatusOptions) checkPublished(r *Report, set *keyset.SigningKeys, out string, data []byte) {
	r.Out = out
	have, err := parseKeyIDs(data)
	if err != nil {
		r.addProblem("%s holds no key set: %v", out, err)
		return
	}
	var want []string
	for _, key := range set.Keys() {
		if key.Plan().IsPublishedAt(c.Now) {
			want = append(want, key.ID())
		}
	}
	slices.Sort(want)
	for _, kid := range subtract(want, have) {
		r.addProblem("%s lacks %s: publish it", out, kid)
	}
	for _, kid := range subtract(have, want) {
		r.addProblem("%s has %s, which must not be trusted any more: publish the set again", out, kid)
	}
}
