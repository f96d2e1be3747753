// Package strictjson reads JSON that a stranger wrote and that two readers must not
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

// maxDepth bounds the nesting; the deepest honest document, a key set with
// certificates or a token with a list in a mapped object, needs four.
const maxDepth = 8

var (
	// ErrNotObject says that the document is something else than one JSON object.
	ErrNotObject = errors.New("not an object")
	// ErrNotJSON says the same of a document that no reader understands.
	ErrNotJSON = errors.New("not JSON")
	// ErrTooDeep says that objects and lists are nested deeper than 8.
	ErrTooDeep = fmt.Errorf("nested deeper than %d", maxDepth)
)

// ParseObject reads one JSON object. Unlike encoding/json it rejects a member name that
// is there twice (two readers may each believe another one), text that is not UTF-8
// or has lost characters, and anything after the object. Names are taken as they are
// written: "Keys" is not "keys". Numbers become int64 where they are integers, else
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
	// The library keeps the last member of a name. Each one that it dropped is
	// missing here, so no duplicate can hide, however deep.
	if members != countMembers(data) {
		return nil, errors.New("a member name appears twice")
	}
	return object, nil
}

// normalize puts Go numbers in place, bounds the depth and counts the members. depth
// is how many objects and lists the value stands in.
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

// CheckText rejects U+FFFD. The library puts it for half of a surrogate pair
// ("\ud800") when it reads and for bytes that are not UTF-8 when it writes, so
// two texts that differ, two subjects say, would be one after that.
func CheckText(text string) error {
	if strings.ContainsRune(text, utf8.RuneError) {
		return errors.New("a text with a character that was lost (U+FFFD)")
	}
	return nil
}

// countMembers counts the colons outside of texts: in valid JSON, one for each
// member as it is written.
func countMembers(data []byte) (members int) {
	inText := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			inText = !inText
		case c == '\\':
			i++ // stands in texts only; what it escapes neither ends one nor counts
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
