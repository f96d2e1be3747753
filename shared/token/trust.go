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

// MaxLifetime is the longest life that any token may have.
const MaxLifetime = 5 * time.Minute

// DefaultLeeway is the clock difference that is forgiven where none is configured.
const DefaultLeeway = 5 * time.Second

// MaxLeeway is the largest clock difference that can be configured.
const MaxLeeway = time.Minute

// Trust is what one issuer, a fleet of gateways that share keys, may say.
type Trust struct {
	Issuer, Audience string
	Algorithms       []string
	Keys             *keyset.PublicKeys
	NoKeys           bool                // none can be had: what only a key can tell is refused as keys_unavailable
	MaxLifetime      time.Duration       // longest exp − iat
	Leeway           time.Duration       // forgiven difference of clocks, at exp, iat and nbf
	Subjects         []string            // namespaces it may assert; nil: any
	Requesters       []identity.Workload // workloads it may name in req_wl; nil: any
	Home             bool                // one of our own fleets: see [IsOutage]
}

// CheckAudience refuses what is not a name of this deployment alone.
func CheckAudience(audience string) error {
	switch audience {
	case "":
		return errors.New("audience is empty")
	case "cluster.local":
		return errors.New("audience cluster.local is the same in every mesh: use a globally unique name")
	}
	return nil
}

// CheckIssuer refuses what is not a URL in the form of RFC 8414, section 2: scheme and
// host, without a query or fragment. It is a name, compared byte by byte, and never
// opened; plain http is admitted for that reason.
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%.256q is not an http or https URL: write one such as https://tyk.example.com", issuer)
	}
	return nil
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

// checkKeys: an entry without keys is one that somebody forgot, unless it says so.
func (t Trust) checkKeys() error {
	switch none := t.Keys == nil || len(t.Keys.KeyIDs()) == 0; {
	case none && !t.NoKeys:
		return errors.New("no keys")
	case !none && t.NoKeys:
		return errors.New("keys, and the word that there are none")
	}
	return nil
}

// entitled says whether this issuer may speak of that subject and requester.
func (t Trust) entitled(c *identity.Claims, requester identity.Workload) error {
	namespace, _, _ := strings.Cut(c.Subject, ":")
	if t.Subjects != nil && !slices.Contains(t.Subjects, namespace) {
		return errors.New("the subject's namespace is not this issuer's")
	}
	if t.Requesters != nil && !slices.Contains(t.Requesters, requester) {
		return errors.New("the requesting workload is not this issuer's")
	}
	return nil
}

// byIssuer indexes trust, and refuses what would blur whose key is whose.
func byIssuer(trust []Trust) (map[string]Trust, error) {
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
