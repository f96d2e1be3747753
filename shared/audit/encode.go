package audit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/meshpass/meshpass/internal/logqueue"
)

// appendRecord appends the line of a record. It is what encoding/json writes with the tags of [Record], in their order and with what
// [logqueue.EscapeJSON] escapes: TestEncoding compares the two. Only values of unusual types among the inputs are left to
// encoding/json.
func appendRecord(b []byte, r *Record) ([]byte, error) {
	var err error
	b = append(b, `{"time":`...)
	if b, err = appendTime(b, r.Time); err != nil {
		return nil, err
	}
	b = appendText(append(b, `,"kind":`...), string(r.Kind))
	b = appendText(append(b, `,"id":`...), r.ID)
	b = appendIfAny(b, `,"txn":`, r.Txn)
	b = appendIfAny(b, `,"trace_id":`, r.TraceID)
	b = appendIfAny(b, `,"request_id":`, r.RequestID)
	b = appendIfAny(b, `,"listener":`, r.Listener)
	b = appendIfAny(b, `,"caller":`, r.Caller)
	b = appendIfAny(b, `,"callee":`, r.Callee)
	b = appendIfAny(b, `,"method":`, r.Method)
	b = appendIfAny(b, `,"path":`, r.Path)
	b = appendIfAny(b, `,"host":`, r.Host)
	b = appendIfAny(b, `,"sub":`, r.Sub)
	b = appendIfAny(b, `,"iss":`, r.Iss)
	b = appendText(append(b, `,"decision":`...), r.Decision)
	b = appendText(append(b, `,"reason":`...), r.Reason)
	b = appendIfAny(b, `,"detail":`, r.Detail)
	b = appendIfAny(b, `,"policy":`, r.Policy)
	b = appendIfAny(b, `,"folder":`, r.Folder)
	b = appendIfAny(b, `,"rule":`, r.Rule)
	b = appendIfAny(b, `,"mode":`, r.Mode)
	b = appendTexts(b, `,"shadow":`, r.Shadow)
	b = appendTexts(b, `,"withheld":`, r.Withheld)
	b = strconv.AppendInt(append(b, `,"duration_us":`...), r.DurationUS, 10)
	b = appendIfAny(b, `,"generation":`, r.Generation)
	if b, err = appendInputs(b, r.Inputs); err != nil {
		return nil, err
	}
	b = appendTexts(b, `,"unrecorded":`, r.Unrecorded)
	b = appendTexts(b, `,"masked":`, r.Masked)
	return append(b, '}', '\n'), nil
}

// appendTime writes RFC 3339 in UTC. Other times are rare.
func appendTime(b []byte, t time.Time) ([]byte, error) {
	if year := t.Year(); t.Location() != time.UTC || year < 1000 || year > 9999 {
		return appendMarshalled(b, t)
	}
	b = append(b, '"')
	b = t.AppendFormat(b, time.RFC3339Nano)
	return append(b, '"'), nil
}

func appendIfAny(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	return appendText(append(b, name...), text)
}

func appendTexts(b []byte, name string, texts []string) []byte {
	if len(texts) == 0 {
		return b
	}
	b = append(append(b, name...), '[')
	for i, text := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, text)
	}
	return append(b, ']')
}

// appendInputs writes the names in their order, as encoding/json does.
func appendInputs(b []byte, inputs map[string]any) ([]byte, error) {
	if len(inputs) == 0 {
		return b, nil
	}
	var room [16]string // mostly enough
	names := room[:0]
	for name := range inputs {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, `,"inputs":`...)
	before := byte('{')
	for _, name := range names {
		b = append(appendText(append(b, before), name), ':')
		var err error
		if b, err = appendValue(b, inputs[name]); err != nil {
			return nil, err
		}
		before = ','
	}
	return append(b, '}'), nil
}

func appendValue(b []byte, value any) ([]byte, error) {
	switch value := value.(type) {
	case string:
		return appendText(b, value), nil
	case bool:
		return strconv.AppendBool(b, value), nil
	case int64:
		return strconv.AppendInt(b, value, 10), nil
	case uint32:
		return strconv.AppendUint(b, uint64(value), 10), nil
	case nil:
		return append(b, "null"...), nil
	}
	return appendMarshalled(b, value)
}

func appendMarshalled(b []byte, value any) ([]byte, error) {
	text, err := json.Marshal(value)
	return append(b, logqueue.EscapeJSON(text)...), err
}

// plainBytes are the characters that are written as they are. encoding/json escapes those of HTML.
var plainBytes = func() (plain [256]bool) {
	for c := ' '; c <= '~'; c++ {
		plain[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return plain
}()

func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if !plainBytes[text[i]] {
			escaped, err := appendMarshalled(b, text)
			if err != nil {
				panic(fmt.Sprintf("a text cannot be encoded: %v", err)) // every string can be
			}
			return escaped
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}
