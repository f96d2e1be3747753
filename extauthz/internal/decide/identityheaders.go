package decide

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// IdentityHeader is a plain header, which only Meshpass may write, with the value of one
// claim. It is for workloads that cannot read the token. A workload that trusts it
// trusts that no request reaches it around its sidecar.
//
// A value comes from a verified token only. A claim that cannot be a header's value is
// withheld, and the audit record names the header: cutting or escaping the value could
// turn one user's name into another's.
type IdentityHeader struct {
	Name  string // lower-case
	claim []string
}

// IdentityHeaders are the headers of one configuration.
type IdentityHeaders []IdentityHeader

var (
	nameForm  = regexp.MustCompile(`^x-meshpass-[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	claimForm = regexp.MustCompile(`^(iss|aud|sub|txn|scope|req_wl|[tr]ctx(\.[^.]+)+)$`)
)

// NewIdentityHeader rejects names that others may write, because nothing would remove
// them if they are forged, and claims that no token has.
func NewIdentityHeader(name, claim string) (IdentityHeader, error) {
	switch {
	case !nameForm.MatchString(name):
		return IdentityHeader{}, fmt.Errorf("%q: want x-meshpass-NAME, in lower-case letters, digits and -", name)
	case !claimForm.MatchString(claim):
		return IdentityHeader{}, fmt.Errorf("claim %q: want iss, aud, sub, txn, scope, req_wl, or a member below tctx or rctx, as in tctx.tenant", claim)
	}
	return IdentityHeader{Name: name, claim: strings.Split(claim, ".")}, nil
}

// fieldsOf gives the headers to set for these claims, and the sorted names of those that
// are withheld. All other names are to be removed from the request.
func (all IdentityHeaders) fieldsOf(c *identity.Claims) (set []Field, withheld []string) {
	for _, header := range all {
		text, err := header.valueOf(c)
		switch {
		case err != nil:
			withheld = append(withheld, header.Name)
		case text != "":
			if set == nil {
				set = make([]Field, 0, len(all))
			}
			set = append(set, Field{header.Name, text})
		}
	}
	slices.Sort(withheld)
	return set, withheld
}

// namesToRemove lists the headers to remove before the request goes on: all that only
// Meshpass may write, but not the token if it was verified, and not those that are set.
// Left in place, a spelling such as X_Meshpass_User or X.Meshpass.User would reach a CGI
// program as X-Meshpass-User. The configured names are removed even if the request does
// not show them.
func (all IdentityHeaders) namesToRemove(h Headers, tokenVerified bool, set []Field) []string {
	if len(all) == 0 && tokenVerified && len(h.ours) == 1 && h.ours[0] == tokenHeader { // a usual request
		return nil
	}
	names := slices.Clone(h.ours)
	for _, header := range all {
		names = append(names, header.Name, strings.ReplaceAll(header.Name, "-", "_"))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(name string) bool {
		name = strings.ToLower(name)
		return tokenVerified && name == tokenHeader || slices.ContainsFunc(set, func(f Field) bool { return f.Name == name })
	})
}

// errWithheld is the error for a claim that cannot be a header's value.
var errWithheld = errors.New("the claim cannot be a header's value")

// valueOf is empty if the claim is absent, as it is without a token.
func (h IdentityHeader) valueOf(c *identity.Claims) (string, error) {
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
		return "", errWithheld // a list or an object has more than one spelling
	}
	if !isFieldValue(text) {
		return "", errWithheld
	}
	return text, nil
}

// isFieldValue accepts visible ASCII with spaces inside (RFC 9110 section 5.5). Other
// bytes are dropped, replaced or read in another way on some hops.
func isFieldValue(text string) bool {
	isVisible := func(c byte) bool { return c >= ' ' && c <= '~' }
	for i := range len(text) {
		if !isVisible(text[i]) {
			return false
		}
	}
	return text == strings.TrimSpace(text)
}
