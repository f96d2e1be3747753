// Package strictjson reads JSON from outside that two readers must not
// understand in two ways: the parts of a token, and key sets.
package strictjson

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting; the deepest usual document, a key set with
// certificates or a token with a list in a mapped object, needs four.
const maxDepth = 8

var (
	// ErrNotObject is the error of a document that is not one JSON object.
	ErrNotObject = errors.New("not an object")
	// ErrNotJSON is the error of a document that is not JSON.
	ErrNotJSON = errors.New("not JSON")
	// ErrTooDeep is the error of objects and lists that are nested deeper than 8.
	ErrTooDeep = fmt.Errorf("nested deeper than %d", maxDepth)

	errNotUTF8   = errors.New("not UTF-8")
	errTrailing  = errors.New("something follows the object")
	errNameTwice = errors.New("a member name appears twice")
	errLostText  = errors.New("a text with a character that was lost (U+FFFD)")
	errNumber    = errors.New("a number out of range")
)

// ParseObject reads one JSON object by the rules of [Document.Parse]. Integers become
// int64, other numbers float64.
func ParseObject(data []byte) (map[string]any, error) {
	var d Document
	if err := d.Parse(string(data)); err != nil {
		return nil, err
	}
	members, _ := d.Root().Object()
	return members, nil
}

// CheckText rejects U+FFFD. Readers write it for half of a surrogate pair ("\ud800"), and
// writers for bytes that are not UTF-8. Two different texts, such as two subjects, would
// then be equal.
func CheckText(text string) error {
	if strings.ContainsRune(text, utf8.RuneError) {
		return errLostText
	}
	return nil
}
