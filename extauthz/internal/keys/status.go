package keys

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/shared/keyset"
)

// StatusOptions are the limits that Status checks.
type StatusOptions struct {
	Place         string        // name of the key directory or Secret, for messages
	Lead          time.Duration // time that the slowest verifier takes to get the published set
	TokenLifetime time.Duration // longest lifetime of a token; zero: token.MaxLifetime
	Ahead         time.Duration // how early it is a problem that no key will sign
	Now           time.Time
}

// Status reports the state of a key directory, and of the published key set in the file
// out; empty: the published set is not checked.
func Status(o StatusOptions, dir, out string) (Report, error) {
	files, err := keyset.ReadFiles(dir)
	if err != nil {
		return Report{}, err
	}
	o.Place = dir
	if out == "" {
		return o.BuildReport(files, "", nil)
	}
	published, err := readSet(out)
	if err != nil {
		return Report{}, err
	}
	return o.BuildReport(files, out, published)
}

// BuildReport reports the state of the files of a key directory, and of the published key
// set if out is its name; empty: the published set is not checked.
func (o StatusOptions) BuildReport(files keyset.Files, out string, published []byte) (Report, error) {
	set, err := files.SigningKeys()
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", o.Place, err)
	}
	stray, err := files.StrayFiles()
	if err != nil {
		return Report{}, err
	}
	r := newReport(o.Place, "", set, o.Now)
	for _, name := range stray {
		r.addProblem("%s is a private key that keys.yaml does not name: meshpass keys rotate removes it", name)
	}
	o.checkGaps(&r, set)
	for _, key := range set.Keys() {
		o.checkTimes(&r, set, key)
	}
	if out != "" {
		o.checkPublished(&r, set, out, published)
	}
	return r, nil
}

func (r *Report) addProblem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

func (o StatusOptions) checkGaps(r *Report, set *keyset.SigningKeys) {
	switch from, until := set.NextGap(o.Now); {
	case !from.After(o.Now):
		r.addProblem("no key signs: gateways deny every request with 503 no_signing_key")
	case !until.IsZero():
		r.addProblem("no key signs from %s to %s", printer.FormatTime(from), printer.FormatTime(until))
	case from.Before(o.Now.Add(o.Ahead)):
		r.addProblem("no key signs after %s, and no other key follows: meshpass keys rotate makes one", printer.FormatTime(from))
	}
}

// checkTimes finds a key that signs, now or later, before verifiers know it, and a key
// that leaves the published set before its last token expires.
func (o StatusOptions) checkTimes(r *Report, set *keyset.SigningKeys, key *keyset.SigningKey) {
	plan := key.Plan()
	known := plan.PublishAt.Add(o.Lead)
	switch set.StateOf(key, o.Now) {
	case keyset.StateRemoved:
		r.addNote("%s has expired: meshpass keys rotate removes it", key.ID())
		return
	case keyset.StateSigning:
		switch {
		case !known.After(o.Now):
		case signsFirst(set, key):
			r.Denials = &Denials{From: plan.SignFrom.UTC(), Until: known.UTC()}
		default:
			r.addProblem("%s signs already, and was published less than the lead (%v) before: authorizers without the new set reject its tokens until %s at the latest",
				key.ID(), o.Lead, printer.FormatTime(known))
		}
	case keyset.StatePlanned, keyset.StatePublished:
		if known.After(plan.SignFrom) {
			r.addProblem("%s will sign at %s, less than %v after it is published", key.ID(), printer.FormatTime(plan.SignFrom), o.Lead)
		}
	case keyset.StateRetiring: // it signed in time
	}
	gone := plan.SignUntil.Add(KeyRequest{Lead: o.Lead, TokenLifetime: o.TokenLifetime}.retentionAfterSigning())
	if plan.RemoveAfter.Before(gone) {
		r.addProblem("%s leaves the published set at %s, and tokens that it signed live until %s", key.ID(), printer.FormatTime(plan.RemoveAfter), printer.FormatTime(gone))
	}
}

// signsFirst reports whether no other key signed before this one. Then no other key could
// sign while verifiers got this one, and there is no problem to fix.
func signsFirst(set *keyset.SigningKeys, key *keyset.SigningKey) bool {
	return !slices.ContainsFunc(set.Keys(), func(other *keyset.SigningKey) bool { return other.Plan().SignFrom.Before(key.Plan().SignFrom) })
}

// checkPublished compares the published set with the one that verifiers must have now.
func (o StatusOptions) checkPublished(r *Report, set *keyset.SigningKeys, out string, data []byte) {
	r.Out = out
	have, err := parseKeyIDs(data)
	if err != nil {
		r.addProblem("%s is not a key set: %v", out, err)
		return
	}
	var want []string
	for _, key := range set.Keys() {
		if key.Plan().IsPublishedAt(o.Now) {
			want = append(want, key.ID())
		}
	}
	slices.Sort(want)
	for _, kid := range subtract(want, have) {
		r.addProblem("%s lacks %s: publish it", out, kid)
	}
	for _, kid := range subtract(have, want) {
		r.addProblem("%s contains %s, which must not be trusted any more: publish the set again", out, kid)
	}
}
