package token

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
)

// Limits of a [Trust] entry, and its usual leeway.
const (
	MaxLifetime   = 5 * time.Minute // longest life of any token
	DefaultLeeway = 5 * time.Second
	MaxLeeway     = time.Minute
)

// Trust is the entry of one issuer: its keys, and what it may assert. An issuer is a
// fleet of gateways that share keys. A field that is left out makes the entry invalid, or
// denies; only Leeway, NoKeys and Home may be zero.
type Trust struct {
	Issuer, Audience string             // the claims iss and aud, compared byte by byte
	Algorithms       []string           // of [keyset.Algorithms]
	Keys             *keyset.PublicKeys // nil only with NoKeys
	NoKeys           bool               // no key set is available: tokens that pass every other rule get keys_unavailable
	MaxLifetime      time.Duration      // longest exp − iat, up to [MaxLifetime]
	Leeway           time.Duration      // tolerated difference of clocks at exp, iat and nbf, up to [MaxLeeway]

	Subjects   Allowlist[string]            // namespaces that the issuer may assert in sub
	Requesters Allowlist[identity.Workload] // workloads that it may name in req_wl
	Home       bool                         // one of our own issuers: see [IsOutage]
}

// Allowlist is a closed list of names, or every name. The zero value allows no name.
type Allowlist[Name ~string] struct {
	any   bool
	names []Name
}

// Only returns a list that allows these names.
func Only[Name ~string](names ...Name) Allowlist[Name] { return Allowlist[Name]{names: names} }

// Any returns a list that allows every name.
func Any[Name ~string]() Allowlist[Name] { return Allowlist[Name]{any: true} }

// IsAny reports whether every name is allowed.
func (l Allowlist[Name]) IsAny() bool { return l.any }

// Allows reports whether the name is allowed. Names are compared byte by byte.
func (l Allowlist[Name]) Allows(name Name) bool { return l.any || slices.Contains(l.names, name) }

// CheckAudience returns an error for an audience that is not a name of this deployment
// alone.
func CheckAudience(audience string) error {
	switch audience {
	case "":
		return errors.New("audience is empty")
	case "cluster.local":
		return errors.New("audience cluster.local is the same in every mesh: use a globally unique name")
	}
	return nil
}

// CheckIssuer returns an error for a text that is not a URL in the form of RFC 8414
// section 2: scheme and host, without a query or fragment. The URL is a name, compared
// byte by byte, and is never opened, so that plain http is allowed.
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%.256q is not an http or https URL: write one such as https://tyk.example.com", issuer)
	}
	return nil
}

// indexByIssuer checks the entries and indexes them by issuer. It rejects a second entry
// of an issuer, and a key that two issuers have: a key has one owner.
func indexByIssuer(trust []Trust) (map[string]Trust, error) {
	issuers := map[string]Trust{}
	owner := map[string]string{}
	for _, t := range trust {
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("trust in %q: %w", t.Issuer, err)
		}
		if _, twice := issuers[t.Issuer]; twice {
			return nil, fmt.Errorf("trust in %q: the same issuer twice", t.Issuer)
		}
		issuers[t.Issuer] = t
		if t.NoKeys {
			continue
		}
		for _, kid := range t.Keys.KeyIDs() {
			if other, shared := owner[kid]; shared {
				return nil, fmt.Errorf("trust in %q: key %s belongs to %q too", t.Issuer, kid, other)
			}
			owner[kid] = t.Issuer
		}
	}
	if len(issuers) == 0 {
		return nil, errors.New("no issuer is trusted")
	}
	return issuers, nil
}

func (t Trust) check() error {
	if t.Issuer == "" {
		return errors.New("issuer is empty")
	}
	if err := CheckAudience(t.Audience); err != nil {
		return err
	}
	if err := t.checkKeys(); err != nil {
		return err
	}
	if len(t.Algorithms) == 0 {
		return errors.New("no algorithms")
	}
	for _, algorithm := range t.Algorithms {
		if !slices.Contains(keyset.Algorithms(), algorithm) {
			return fmt.Errorf("algorithm %q: want one of %v", algorithm, keyset.Algorithms())
		}
	}
	if t.MaxLifetime <= 0 || t.MaxLifetime > MaxLifetime {
		return fmt.Errorf("maxLifetime %v: want more than 0, at most %v", t.MaxLifetime, MaxLifetime)
	}
	if t.Leeway < 0 || t.Leeway > MaxLeeway {
		return fmt.Errorf("leeway %v: want 0 to 1m", t.Leeway)
	}
	return nil
}

// checkKeys requires keys or NoKeys, so that keys that were forgotten are noticed.
func (t Trust) checkKeys() error {
	switch none := t.Keys == nil || len(t.Keys.KeyIDs()) == 0; {
	case none && !t.NoKeys:
		return errors.New("no keys")
	case !none && t.NoKeys:
		return errors.New("keys, although NoKeys is set")
	}
	return nil
}

// checkEntitlement rejects a subject or a requester that the issuer may not name (23).
func (t Trust) checkEntitlement(c *identity.Claims, requester identity.Workload) error {
	namespace, _, _ := strings.Cut(c.Subject, ":")
	if !t.Subjects.Allows(namespace) {
		return errors.New("the issuer may not assert the subject's namespace")
	}
	if !t.Requesters.Allows(requester) {
		return errors.New("the issuer may not name the requesting workload")
	}
	return nil
}
