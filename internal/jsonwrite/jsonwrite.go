// Package jsonwrite appends JSON to a slice of bytes. It writes exactly the bytes that
// encoding/json.Marshal writes for the same value, without reflection and without memory
// of its own, so that a token or a record has one form.
package jsonwrite

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxNesting is how deep lists and objects are written here. encoding/json writes deeper
// ones, and finds a map that contains itself.
const maxNesting = 64

// AppendValue appends a value. The types that [encoding/json] reads into an any, int,
// int64 and []string are written here; encoding/json writes all others. The error is that
// of [json.Marshal], for a value that is no JSON.
func AppendValue(data []byte, value any) ([]byte, error) { return appendNested(data, value, 0) }

func appendNested(data []byte, value any, depth int) ([]byte, error) {
	switch value := value.(type) {
	case nil:
		return append(data, "null"...), nil
	case bool:
		return strconv.AppendBool(data, value), nil
	case string:
		return AppendText(data, value), nil
	case int64:
		return strconv.AppendInt(data, value, 10), nil
	case int:
		return strconv.AppendInt(data, int64(value), 10), nil
	case float64:
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			return appendFloat(data, value), nil
		}
	case []string:
		if value != nil {
			return appendTexts(data, value), nil
		}
	case []any:
		if value != nil && depth < maxNesting {
			return appendList(data, value, depth+1)
		}
	case map[string]any:
		if value != nil && depth < maxNesting {
			return appendObject(data, value, depth+1)
		}
	}
	text, err := json.Marshal(value)
	return append(data, text...), err
}

func appendTexts(data []byte, texts []string) []byte {
	data = append(data, '[')
	for i, text := range texts {
		if i > 0 {
			data = append(data, ',')
		}
		data = AppendText(data, text)
	}
	return append(data, ']')
}

func appendList(data []byte, list []any, depth int) (_ []byte, err error) {
	data = append(data, '[')
	for i, entry := range list {
		if i > 0 {
			data = append(data, ',')
		}
		if data, err = appendNested(data, entry, depth); err != nil {
			return nil, err
		}
	}
	return append(data, ']'), nil
}

// appendObject sorts the names by their bytes.
func appendObject(data []byte, members map[string]any, depth int) (_ []byte, err error) {
	var few [16]string
	names := few[:0]
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	data = append(data, '{')
	for i, name := range names {
		if i > 0 {
			data = append(data, ',')
		}
		data = append(AppendText(data, name), ':')
		if data, err = appendNested(data, members[name], depth); err != nil {
			return nil, err
		}
	}
	return append(data, '}'), nil
}

// appendFloat writes a finite number as ECMAScript does: with an exponent only if it is
// very large or very small, and then without a zero at its start.
func appendFloat(data []byte, f float64) []byte {
	abs := math.Abs(f)
	if abs == 0 || abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(data, f, 'f', -1, 64)
	}
	data = strconv.AppendFloat(data, f, 'e', -1, 64)
	if end := len(data) - 4; data[end] == 'e' && data[end+1] == '-' && data[end+2] == '0' { // e-09
		data = append(data[:end+2], data[end+3])
	}
	return data
}

const hexDigits = "0123456789abcdef"

// isPlain lists the bytes that need no escape. encoding/json escapes <, > and & too, for
// JSON inside of HTML.
var isPlain = func() (plain [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return plain
}()

// AppendText appends a text in quotation marks. Each byte that is not UTF-8 becomes \ufffd.
func AppendText(data []byte, text string) []byte {
	data = append(data, '"')
	start := 0 // of what is not appended yet
	for i := 0; i < len(text); {
		c := text[i]
		if isPlain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			data = appendEscape(append(data, text[start:i]...), c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			data = append(append(data, text[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029': // lines end there in JavaScript
			data = append(append(data, text[start:i]...), `\u202`...)
			data = append(data, hexDigits[r&0xF])
			start = i + size
		}
		i += size
	}
	return append(append(data, text[start:]...), '"')
}

func appendEscape(data []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(data, '\\', c)
	case '\b':
		return append(data, '\\', 'b')
	case '\f':
		return append(data, '\\', 'f')
	case '\n':
		return append(data, '\\', 'n')
	case '\r':
		return append(data, '\\', 'r')
	case '\t':
		return append(data, '\\', 't')
	}
	return append(data, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
}
