// Package method holds the methods of requests and of rules.
package method

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// IsAmbiguous reports a small letter. Methods are case-sensitive (RFC 9110 section 9.1)
// and HTTP/2 carries any, but some servers take delete for DELETE. Such a request would
// pass a deny rule on DELETE.
func IsAmbiguous(method string) bool { return strings.ToUpper(method) != method }

// form is a token (RFC 9110 section 5.6.2) without small letters, which make a method
// ambiguous, and without "*", which is no wildcard here.
var form = regexp.MustCompile("^[!#$%&'+.^_`|~0-9A-Z-]*[A-Z][!#$%&'+.^_`|~0-9A-Z-]*$")

// Check rejects a method of a rule that no request can have. The error explains what
// to write.
func Check(text string) error {
	switch {
	case text == "*":
		return errors.New("it means every method: remove methods")
	case strings.ToUpper(text) != text && form.MatchString(strings.ToUpper(text)):
		return fmt.Errorf("methods are written in capitals: write %s", strings.ToUpper(text))
	case !form.MatchString(text):
		return errors.New("methods are written in capitals, with digits and the signs of a token, such as GET and M-SEARCH")
	}
	return nil
}
