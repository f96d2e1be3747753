// Package idheaders tells a workload who calls, in plain headers that Meshpass
// alone may write. They are for workloads that cannot read the token: whoever
// trusts them trusts that nothing reaches the workload around its sidecar.
//
// A value comes from a verified token only. What cannot be a header's value is
// withheld, and the audit record says so: cutting or escaping it could turn one
// user's name into another's.
package idheaders

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// Header is one header and the claim in it.
type Header struct {
	Name  string // lower-case
	claim []string
}

var (
	nameForm  = regexp.MustCompile(`^x-meshpass-[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	claimForm = regexp.MustCompile(`^(iss|aud|sub|txn|scope|req_wl|[tr]ctx(\.[^.]+)+)$`)
)

// New refuses names that are not ours, which no one would remove where they are
// forged, and claims that no token has.
func New(name, claim string) (Header, error) {
	switch {
	case !nameForm.MatchString(name):
		return Header{}, fmt.Errorf("%q: want x-meshpass-NAME, in lower-case letters, digits and -", name)
	case !claimForm.MatchString(claim):
		return Header{}, fmt.Errorf("claim %q: want iss, aud, sub, txn, scope, req_wl, or a member below tctx or rctx, as in tctx.tenant", claim)
	}
	return Header{Name: name, claim: strings.Split(claim, ".")}, nil
}

// ErrWithheld says that a claim is there and cannot be a header's value.
var ErrWithheld = errors.New("the claim cannot be a header's value")

// Value is empty where the claim is absent, as it is without a token.
func (h Header) Value(c *identity.Claims) (string, error) {
	claim, ok := c.Lookup(h.claim...)
	if !ok || claim == nil {
		return "", nil
	}
	var text string
	switch claim := claim.(type) {
	case string:
		text = claim
	case bool:
		text = strconv.FormatBool(claim)
	case int64:
		text = strconv.FormatInt(claim, 10)
	default:
		return "", ErrWithheld // lists and objects have no one spelling
	}
	if !plain(text) {
		return "", ErrWithheld
	}
	return text, nil
}

// plain admits visible ASCII and, between it, spaces (RFC 9110 section 5.5): all
// else is dropped, replaced or read as something else on one hop or another.
func plain(text string) bool {
	visible := func(c byte) bool { return c >= ' ' && c <= '~' }
	for i := range len(text) {
		if !visible(text[i]) {
			return false
		}
	}
	return text == strings.TrimSpace(text)
}

// Headers are those of one configuration.
type Headers []Header

// Of gives the values for these claims, by name, and the names that were
// withheld. Every other name is to be removed from the request.
func (all Headers) Of(c *identity.Claims) (values map[string]string, withheld []string) {
	for _, header := range all {
		text, err := header.Value(c)
		switch {
		case err != nil:
			withheld = append(withheld, header.Name)
		case text != "":
			if values == nil {
				values = make(map[string]string, len(all))
			}
			values[header.Name] = text
		}
	}
	slices.Sort(withheld)
	return values, withheld
}
