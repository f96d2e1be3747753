package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// endsSoon is when a key without a successor is a fault, as in the alert.
const endsSoon = 24 * time.Hour

// signingKey is a key of a gateway.
type signingKey struct {
	kid, algorithm string
	current        bool
	from, until    time.Time
}

// signingKeys are the keys that sign now or later.
func (g gatewayAnswers) signingKeys(now time.Time) (all []signingKey) {
	times := func(family string) map[string]time.Time {
		byKey := map[string]time.Time{}
		for _, m := range g.families[family].GetMetric() {
			byKey[labelsOf(m)["kid"]] = time.Unix(int64(m.GetGauge().GetValue()), 0).UTC()
		}
		return byKey
	}
	from, until := times("meshpass_edge_key_sign_from_timestamp_seconds"), times("meshpass_edge_key_sign_until_timestamp_seconds")
	for _, m := range g.families["meshpass_edge_key_current"].GetMetric() {
		labels := labelsOf(m)
		k := signingKey{labels["kid"], labels["algorithm"], m.GetGauge().GetValue() == 1, from[labels["kid"]], until[labels["kid"]]}
		if k.current || k.from.After(now) {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b signingKey) int { return a.from.Compare(b.from) })
	return all
}

// checkKeys compares the signing keys of gateways with the keys that each authorizer knows, and the authorizers with each
// other.
func checkKeys(seen *observations) (lines []Line) {
	if len(seen.gateways)+len(seen.authorizers) == 0 {
		return seen.describeMissing(keysCheck, "no address of a gateway and of an authorizer", "give --gateway URL and --authorizer ADDRESS")
	}
	reports := seen.reports()
	if len(reports) == 0 {
		return notCheckedWithout(seen, keysCheck, "no authorizer gave a report")
	}
	missing := map[[2]string]bool{} // authorizer and kid
	for _, g := range seen.gateways {
		switch {
		case g.families != nil:
			lines = append(lines, g.checkSigningKeys(reports, missing, time.Now())...)
		case g.Metrics.URL == "":
			lines = append(lines, Line{keysCheck, g.Name, NotChecked, "the key that signs is not known, because the plugin's metrics are not", "see the line of plugin"})
		}
	}
	return append(lines, compareKeySets(reports, missing)...)
}

func (g gatewayAnswers) checkSigningKeys(reports []authorizerAnswer, missing map[[2]string]bool, now time.Time) (lines []Line) {
	keys := g.signingKeys(now)
	for _, k := range keys {
		signs, effect := "signs", "its tokens get 403 kid_unknown there"
		if !k.current {
			signs, effect = "will sign from "+k.from.Format(time.RFC3339), "its tokens will get 403 kid_unknown there"
		}
		for _, a := range reports {
			if !a.namesKeys() || slices.Contains(knownKeys(a), k.kid) {
				continue
			}
			missing[[2]string{a.from.String(), k.kid}] = true
			lines = append(lines, Line{keysCheck, a.from.String(), Wrong, fmt.Sprintf("does not know the key %s, with which %s %s: %s", k.kid, g.Name, signs, effect),
				"meshpass keys publish, and make sure that this replica gets the file (docs/operations.md#alert-kid-unknown)"})
		}
	}
	if len(keys) > 0 {
		if last := slices.MaxFunc(keys, func(a, b signingKey) int { return a.until.Compare(b.until) }); last.until.Sub(now) < endsSoon {
			lines = append(lines, Line{keysCheck, g.Name, Wrong, "the last key ends at " + last.until.Format(time.RFC3339), "meshpass keys new, and publish it (docs/operations.md#alert-signing-key-ends)"})
		}
	}
	if len(lines) == 0 {
		for _, k := range keys {
			if k.current {
				lines = append(lines, Line{keysCheck, g.Name, OK, fmt.Sprintf("signs with %s (%s); authorizers that know it: %d", k.kid, k.algorithm, countNaming(reports)), ""})
			}
		}
	}
	if len(lines) == 0 {
		lines = append(lines, Line{keysCheck, g.Name, Wrong, "no key signs now", "see the line of canary"})
	}
	return lines
}

// namesKeys reports whether this version of the authorizer names its keys.
func (a authorizerAnswer) namesKeys() bool {
	return !slices.ContainsFunc(a.report.Issuers, func(i status.Issuer) bool { return i.Keys > 0 && len(i.KeyIDs) == 0 })
}

func countNaming(reports []authorizerAnswer) (n int) {
	for _, a := range reports {
		if a.namesKeys() {
			n++
		}
	}
	return n
}

func knownKeys(a authorizerAnswer) (all []string) {
	for _, issuer := range a.report.Issuers {
		all = append(all, issuer.KeyIDs...)
	}
	return all
}

// compareKeySets finds keys that one replica knows and another does not. Those of missing have a line already.
func compareKeySets(reports []authorizerAnswer, missing map[[2]string]bool) (lines []Line) {
	holders := map[string]authorizerAnswer{} // the first replica that knows a key, by issuer and kid
	for _, a := range reports {
		for _, issuer := range a.report.Issuers {
			for _, kid := range issuer.KeyIDs {
				if _, found := holders[issuer.Name+" "+kid]; !found {
					holders[issuer.Name+" "+kid] = a
				}
			}
		}
	}
	for _, a := range reports {
		known := map[string]bool{}
		for _, issuer := range a.report.Issuers {
			for _, kid := range issuer.KeyIDs {
				known[issuer.Name+" "+kid] = true
			}
		}
		if !a.namesKeys() {
			lines = append(lines, Line{keysCheck, a.from.String(), NotChecked, "this version of the authorizer does not name its keys", "upgrade it"})
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(holders)) {
			issuer, kid, _ := strings.Cut(key, " ") // neither has a space
			if known[key] || missing[[2]string{a.from.String(), kid}] {
				continue
			}
			lines = append(lines, Line{keysCheck, a.from.String(), Wrong, fmt.Sprintf("does not know the key %s of %s, which %s knows", kid, issuer, holders[key].from),
				"make sure that this replica gets the key set (docs/operations.md#alert-kid-unknown)"})
		}
	}
	return lines
}
