package keys

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// Check is what Status looks at, and by which measures.
type Check struct {
	In     string        // what the keys are in, for people
	Lead   time.Duration // what the slowest verifier takes to get the published set
	Tokens time.Duration // how long a token lives at most; zero: token.MaxLifetime
	Ahead  time.Duration // how early it is a problem that nothing will sign
	Now    time.Time
}

// Status tells the state of a key directory. out names the file of the key set,
// if that is to be looked at too.
func Status(c Check, dir, out string) (Report, error) {
	files, err := keyset.ReadFiles(dir)
	if err != nil {
		return Report{}, err
	}
	c.In = dir
	if out == "" {
		return c.Report(files, "", nil)
	}
	published, err := readSet(out)
	if err != nil {
		return Report{}, err
	}
	return c.Report(files, out, published)
}

// Report tells the state of a key directory's files, and of what is published if
// out names where that is.
func (c Check) Report(files keyset.Files, out string, published []byte) (Report, error) {
	set, err := files.SigningKeys()
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", c.In, err)
	}
	stray, err := files.StrayFiles()
	if err != nil {
		return Report{}, err
	}
	r := report(c.In, "", set, c.Now)
	for _, name := range stray {
		r.problem("%s is a private key that keys.yaml does not name: meshpass keys rotate removes it", name)
	}
	c.gaps(&r, set)
	for _, key := range set.Keys() {
		c.times(&r, set, key)
	}
	if out != "" {
		c.published(&r, set, out, published)
	}
	return r, nil
}

// Plain tells what there is and what comes, and judges nothing.
func (c Check) Plain(files keyset.Files) (Report, error) {
	set, err := files.SigningKeys()
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", c.In, err)
	}
	return report(c.In, "", set, c.Now), nil
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

func (c Check) gaps(r *Report, set *keyset.SigningKeys) {
	switch from, until := set.NextGap(c.Now); {
	case !from.After(c.Now):
		r.problem("no key signs: gateways refuse every request with 503 no_signing_key")
	case !until.IsZero():
		r.problem("no key signs from %s to %s", at(from), at(until))
	case from.Before(c.Now.Add(c.Ahead)):
		r.problem("no key signs after %s, and none is to follow: meshpass keys rotate makes one", at(from))
	}
}

// times finds a key that signs, or will, before verifiers know it, and one that is
// gone before its last token is.
func (c Check) times(r *Report, set *keyset.SigningKeys, key *keyset.SigningKey) {
	plan := key.Plan()
	known := plan.PublishAt.Add(c.Lead)
	switch set.StateOf(key, c.Now) {
	case keyset.StateRemoved:
		r.note("%s is over: meshpass keys rotate drops it", key.ID())
		return
	case keyset.StateSigning:
		switch {
		case !known.After(c.Now):
		case first(set, key):
			r.Denials = &Denials{From: plan.SignFrom.UTC(), Until: known.UTC()}
		default:
			r.problem("%s signs already, and was published less than the lead (%v) before: authorizers that do not have the new set refuse its tokens until %s at the latest",
				key.ID(), c.Lead, at(known))
		}
	case keyset.StatePlanned, keyset.StatePublished:
		if known.After(plan.SignFrom) {
			r.problem("%s is to sign at %s, less than %v after it is published", key.ID(), at(plan.SignFrom), c.Lead)
		}
	}
	gone := plan.SignUntil.Add(NewKey{Lead: c.Lead, Tokens: c.Tokens}.retention())
	if plan.RemoveAfter.Before(gone) {
		r.problem("%s leaves the published set at %s, and tokens that it signed live until %s", key.ID(), at(plan.RemoveAfter), at(gone))
	}
}

// first reports whether no other key signed before this one: then nothing could have
// signed while verifiers got to know it, and there is nothing to repair.
func first(set *keyset.SigningKeys, key *keyset.SigningKey) bool {
	return !slices.ContainsFunc(set.Keys(), func(other *keyset.SigningKey) bool { return other.Plan().SignFrom.Before(key.Plan().SignFrom) })
}

// published compares what verifiers get with what they are to have now.
func (c Check) published(r *Report, set *keyset.SigningKeys, out string, data []byte) {
	r.Out = out
	have, err := ids(data)
	if err != nil {
		r.problem("%s holds no key set: %v", out, err)
		return
	}
	var want []string
	for _, key := range set.Keys() {
		if key.Plan().IsPublishedAt(c.Now) {
			want = append(want, key.ID())
		}
	}
	slices.Sort(want)
	for _, kid := range without(want, have) {
		r.problem("%s lacks %s: publish it", out, kid)
	}
	for _, kid := range without(have, want) {
		r.problem("%s has %s, which must not be trusted any more: publish the set again", out, kid)
	}
}
