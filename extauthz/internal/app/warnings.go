package app

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/trust"
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/policy"
)

// warning is about a configuration that is used all the same. The start logs it, and a check of the
// configuration shows it at its place.
type warning struct {
	at      strictyaml.Path // of the value that causes it
	message string
	args    []any // of slog: keys and values
}

type warnings []warning

func newWarning(at strictyaml.Path, message string, args ...any) warning {
	return warning{at, message, args}
}

func (all warnings) log(to *slog.Logger) {
	for _, w := range all {
		to.Warn(w.message, w.args...)
	}
}

// text is the message with the values of the log line.
func (w warning) text() string {
	var values []string
	for i := 0; i+1 < len(w.args); i += 2 {
		values = append(values, fmt.Sprintf("%v %v", w.args[i], w.args[i+1]))
	}
	if len(values) == 0 {
		return w.message
	}
	return w.message + " (" + strings.Join(values, ", ") + ")"
}

// place returns the warning with its place in the configuration. Some messages begin with the key.
func (w warning) place(file *strictyaml.Checker) strictyaml.Problem {
	placed := file.ProblemAt(w.at, "%s", w.text())
	if strings.HasPrefix(w.message, placed.Key) {
		placed.Message = w.text()
	}
	return placed
}

// findWarnings are the warnings of the start. The memory limit is in bytes.
func (a *authorizer) findWarnings(memory int64) warnings {
	all := openSettings(a.config.Insecure, a.config.TLS.Mode, a.policies.unguarded)
	all = append(all, memoryAbove(a.config.memory(), memory)...)
	entries := a.trust.issuers.Get().entries
	all = append(all, uselessKeys(entries)...)
	return append(all, weakTrust(entries)...)
}

// openSettings are the warnings of the settings that open something.
func openSettings(c insecureConfig, tlsMode string, unguarded policy.Mode) (all warnings) {
	warn := func(open bool, message string, at ...any) {
		if open {
			all = append(all, newWarning(at, message))
		}
	}
	warn(tlsMode == server, "tls.mode server: anyone who can reach a listener may ask on it", "tls", "mode")
	warn(unguarded == policy.Shadow, "policies.unguarded shadow: anyone who can reach a workload that no document targets may call it", "policies", "unguarded")
	warn(c.XFCCFromAnyClient, "insecure.xfccFromAnyClient: anyone who can reach a listener with caller xfcc can ask in the name of any workload", "insecure", "xfccFromAnyClient")
	warn(c.JWKSOverHTTP, "insecure.jwksOverHTTP: anyone on the way to a key set that is fetched over plain http can sign for its issuer", "insecure", "jwksOverHTTP")
	warn(c.RedisWithoutTLS, "insecure.redisWithoutTLS: anyone on the way to Redis can revoke tokens, lift what is revoked there, and read the password", "insecure", "redisWithoutTLS")
	warn(c.AllowTestTokens, "insecure.allowTestTokens: anyone who has a key that is meant for tests can ask in the name of any user", "insecure", "allowTestTokens")
	return all
}

// memoryAbove compares what peers can fill with the limit, in bytes, that the garbage collector keeps,
// which follows the container's.
func memoryAbove(sum bytesize.Size, limit int64) warnings {
	if int64(sum) <= limit {
		return nil
	}
	return warnings{newWarning(strictyaml.Path{"limits"},
		"the limits together are above the memory limit: lower limits.connections, limits.inFlightBytes or cache.verifiedTokens, or give the container more memory",
		"limits", sum.String(), "memory", bytesize.Size(limit).String())}
}

// weakTrust warns of what makes several entries weaker than they need to be.
func weakTrust(entries []trust.Entry) (found warnings) {
	if len(entries) < 2 {
		return nil
	}
	at := strictyaml.Path{"trust"}
	if !hasHome(entries) {
		found = append(found, newWarning(at, "trust: no entry is home, so the entry that publishes a key first keeps it: write home: true in the entries of your own gateways"))
	}
	var all, partners []string // that may name any subject and requester
	for _, e := range entries {
		if !e.Trust.Subjects.IsAny() || !e.Trust.Requesters.IsAny() {
			continue
		}
		all = append(all, e.Trust.Issuer)
		if !e.Trust.Home {
			partners = append(partners, e.Trust.Issuer)
		}
	}
	if len(all) > 1 || len(partners) > 0 {
		found = append(found, newWarning(at, "trust: entries without subjects and requesters may name the users and gateways of all others: give each its own", "issuers", all))
	}
	return found
}

// uselessKeys warns of entries whose file has no key for their algorithms: all tokens of the issuer are
// denied. The next key set may have one.
func uselessKeys(entries []trust.Entry) (found warnings) {
	for i, e := range entries {
		if e.Trust.Keys == nil || len(e.Trust.Keys.KeyIDs()) == 0 {
			continue
		}
		usable := slices.ContainsFunc(e.Trust.Keys.KeyIDs(), func(kid string) bool {
			key, _ := e.Trust.Keys.KeyByID(kid)
			return slices.Contains(e.Trust.Algorithms, key.Algorithm)
		})
		if !usable {
			found = append(found, newWarning(strictyaml.Path{"trust", i, "algorithms"}, "no key of the issuer's file is for one of these algorithms, so all its tokens are denied: name the keys' own",
				"issuer", e.Trust.Issuer, "algorithms", e.Trust.Algorithms))
		}
	}
	return found
}

// droppedKeys warns of keys in the files of entries that are not used, because another entry owns them.
func droppedKeys(entries []trust.Entry, dropped map[string][]string) (found warnings) {
	for _, issuer := range slices.Sorted(maps.Keys(dropped)) {
		i := slices.IndexFunc(entries, func(e trust.Entry) bool { return e.Trust.Issuer == issuer })
		for _, kid := range dropped[issuer] {
			found = append(found, newWarning(atKeyFile(i), "a key of another issuer is in this key set: it is not used for this issuer, the rest of the set is", "kid", kid))
		}
	}
	return found
}

// activeOverrides warns of each override: it lifts policies now.
func (p *activePolicies) activeOverrides() (found warnings) {
	for _, o := range p.set.Load().Overrides(p.now()) {
		found = append(found, newWarning(strictyaml.Path{"policies", "overrides"}, "an override lifts the policies of a target",
			"target", o.Target, "until", o.Until.UTC(), "by", o.By, "reason", o.Reason))
	}
	return found
}
