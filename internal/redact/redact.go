// Package redact writes values for logs and reports without the secrets that they may contain.
package redact

import "net/url"

// URL writes a URL without user information, query and fragment: each of them may be a password or a token.
func URL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "(not a URL)"
	case u.Opaque != "":
		return u.Scheme + ":(opaque)"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}
