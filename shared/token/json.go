package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxDepth bounds the nesting of header and claims; the deepest honest token,
// tctx with a list in a mapped object, needs four.
const maxDepth = 8

// parseObject reads one JSON object. Unlike encoding/json it refuses a member
// name that stands twice (two readers may each believe another one), text that
// is not UTF-8, and anything after the object. Numbers become int64 where they
// are integers, else float64.
func parseObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	value, err := parseValue(decoder, 0)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("not an object")
	}
	return object, nil
}

func parseValue(decoder *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	next, err := decoder.Token()
	if err != nil {
		return nil, errors.New("not JSON")
	}
	switch next := next.(type) {
	case json.Delim:
		if next == '{' {
			return parseMembers(decoder, depth)
		}
		return parseElements(decoder, depth)
	case json.Number:
		return number(next)
	default:
		return next, nil
	}
}

func parseMembers(decoder *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, errors.New("not JSON")
		}
		key, _ := name.(string) // the decoder admits nothing else here
		if _, twice := object[key]; twice {
			return nil, errors.New("a member name stands twice")
		}
		if object[key], err = parseValue(decoder, depth+1); err != nil {
			return nil, err
		}
	}
	return object, closing(decoder)
}

func parseElements(decoder *json.Decoder, depth int) (any, error) {
	list := []any{}
	for decoder.More() {
		value, err := parseValue(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, closing(decoder)
}

func closing(decoder *json.Decoder) error {
	if _, err := decoder.Token(); err != nil {
		return errors.New("not JSON")
	}
	return nil
}

func number(n json.Number) (any, error) {
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil, errors.New("a number out of range")
	}
	return f, nil
}
