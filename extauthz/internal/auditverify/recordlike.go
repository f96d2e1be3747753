package auditverify

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// maxObjects is more objects than a line of a log or a part of a record has.
const maxObjects = 64

// holdsRecord reports whether some program that reads records could read one in a line that is in no chain. Programs differ: they
// skip what a container runtime writes before a record, unwrap it, read several values of one line, ignore the case of names, or
// use the first or the last of two members with one name. A line that is too long is meant too, because other programs may
// read it.
func holdsRecord(line []byte) bool {
	if len(line) > maxLine {
		return bytes.Contains(line, []byte(`"kind"`))
	}
	for range maxObjects {
		at := bytes.IndexByte(line, '{')
		if at < 0 {
			return false
		}
		isRecord, size := readObject(line[at:])
		if isRecord {
			return true
		}
		line = line[at+max(size, 1):]
	}
	return bytes.Contains(line, []byte(`"kind"`))
}

// readObject reports whether a whole object of JSON begins a text and is a record, or has one that was wrapped in it. The size is
// 0 if there is no whole object.
func readObject(text []byte) (isRecord bool, size int) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	var object json.RawMessage
	if decoder.Decode(&object) != nil {
		return false, 0
	}
	members := json.NewDecoder(bytes.NewReader(object))
	_, _ = members.Token() // the bracket
	for members.More() {
		name, _ := members.Token()
		var value any
		if members.Decode(&value) != nil {
			return false, 0 // the object was decoded before: this does not happen
		}
		text, _ := value.(string)
		switch name, _ := name.(string); {
		case strings.EqualFold(name, "kind") && slices.Contains(kinds, text), strings.EqualFold(name, "log") && holdsRecord([]byte(text)):
			return true, len(object)
		}
	}
	return false, len(object)
}
