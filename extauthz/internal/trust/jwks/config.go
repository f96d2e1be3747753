package jwks

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Config describes where the key set of an issuer is. Equal configurations are one source.
type Config struct {
	Issuer   string
	URL      string        // see [CheckURL]
	CAFile   string        // PEM, read at each fetch; empty: the system's certificates
	Refresh  time.Duration // longest time between fetches; a server may shorten it by Cache-Control
	MaxStale time.Duration // how long a set may be used after its last successful fetch
	Seed     string        // file that only this process writes; empty: no seed
}

// CheckURL rejects a URL that must not be fetched. plainHTTP admits http:
// anyone on the network path could then replace the keys of the issuer.
func CheckURL(text string, plainHTTP bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("not an absolute URL: write https://HOST/PATH")
	case u.User != nil || u.Fragment != "":
		return errors.New("a URL with a user, a password or a fragment is not used")
	case u.Scheme == "https" || u.Scheme == "http" && plainHTTP:
		return nil
	case u.Scheme == "http":
		return errors.New("with plain http, anyone on the network path can sign for the issuer: use https, or admit http with insecure.jwksOverHTTP")
	}
	return fmt.Errorf("scheme %q: write https", u.Scheme)
}
