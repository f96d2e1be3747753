package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/meshpass/meshpass/internal/strictjson"
)

// parseObjectReference is a second reader by the rules of package strictjson, which is
// built upon encoding/json. It is slow, and here for tests alone. An invalid text may have
// several faults. The reference then returns each one that may be found first: the order of
// members does not matter to it, only the order of the entries of a list.
func parseObjectReference(data []byte) (object map[string]any, faults []string) {
	if !utf8.Valid(data) {
		return nil, []string{"not UTF-8"}
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, []string{"not JSON"}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, []string{"something follows the object"}
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, []string{"not an object"}
	}
	members := 0
	if _, faults := normalizeReference(value, 0, &members); len(faults) > 0 {
		return nil, faults
	}
	// The library keeps the last member of a name. A dropped member is
	// missing in the count, at any depth.
	if members != countMembers(data) {
		return nil, []string{"a member name appears twice"}
	}
	return object, nil
}

// normalizeReference replaces numbers by Go numbers, bounds the depth and counts the
// members. depth is the number of objects and lists around the value.
func normalizeReference(value any, depth int, members *int) (_ any, faults []string) {
	switch v := value.(type) {
	case json.Number:
		return parseNumberReference(v)
	case string:
		return v, checkTextReference(v)
	case map[string]any:
		if depth == 8 {
			return nil, []string{"nested deeper than 8"}
		}
		*members += len(v)
		for name := range v {
			if lost := checkTextReference(name); lost != nil {
				faults = append(faults, lost...)
				continue
			}
			var more []string
			v[name], more = normalizeReference(v[name], depth+1, members)
			faults = append(faults, more...)
		}
	case []any:
		if depth == 8 {
			return nil, []string{"nested deeper than 8"}
		}
		for i := range v {
			if v[i], faults = normalizeReference(v[i], depth+1, members); faults != nil {
				return nil, faults
			}
		}
	}
	return value, faults
}

func checkTextReference(text string) []string {
	if err := strictjson.CheckText(text); err != nil {
		return []string{err.Error()}
	}
	return nil
}

func parseNumberReference(n json.Number) (any, []string) {
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil, []string{"a number out of range"}
	}
	return f, nil
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
