// Package strictjson reads JSON from outside that two readers must not
// understand in two ways: the parts of a token, and key sets.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
)

// ParseObject reads one JSON object. Unlike encoding/json it rejects a member name that
// occurs twice (two readers may use different ones), text that is not UTF-8
// or has lost characters, and anything after the object. Names are compared as they are
// written: "Keys" is not "keys". Integers become int64, other numbers
// float64. Errors quote nothing of the document.
func ParseObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, ErrNotJSON
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, ErrNotObject
	}
	members := 0
	if _, err := normalize(value, 0, &members); err != nil {
		return nil, err
	}
	// The library keeps the last member of a name. A dropped member is
	// missing in the count, at any depth.
	if members != countMembers(data) {
		return nil, errors.New("a member name appears twice")
	}
	return object, nil
}

// normalize replaces numbers by Go numbers, bounds the depth and counts the members. depth
// is the number of objects and lists around the value.
func normalize(value any, depth int, members *int) (_ any, err error) {
	switch v := value.(type) {
	case json.Number:
		return parseNumber(v)
	case string:
		return v, CheckText(v)
	case map[string]any:
		if depth == maxDepth {
			return nil, ErrTooDeep
		}
		*members += len(v)
		for name := range v {
			if err := CheckText(name); err != nil {
				return nil, err
			}
			if v[name], err = normalize(v[name], depth+1, members); err != nil {
				return nil, err
			}
		}
	case []any:
		if depth == maxDepth {
			return nil, ErrTooDeep
		}
		for i := range v {
			if v[i], err = normalize(v[i], depth+1, members); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

// CheckText rejects U+FFFD. The library writes it for half of a surrogate pair
// ("\ud800") when it reads, and for bytes that are not UTF-8 when it writes. Two
// different texts, such as two subjects, would then be equal.
func CheckText(text string) error {
	if strings.ContainsRune(text, utf8.RuneError) {
		return errors.New("a text with a character that was lost (U+FFFD)")
	}
	return nil
}

// countMembers counts the colons outside of texts: valid JSON has one for each
// member.
func countMembers(data []byte) (members int) {
	inText := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			inText = !inText
		case c == '\\':
			i++ // it is in texts only; the escaped character neither ends a text nor counts
		case c == ':' && !inText:
			members++
		}
	}
	return members
}

func parseNumber(n json.Number) (any, error) {
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil, errors.New("a number out of range")
	}
	return f, nil
}
