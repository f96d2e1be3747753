package record

import (
	"bytes"
	"encoding/json"
)

// Class is what a line looks like, before it is parsed.
type Class int

// The classes.
const (
	Other    Class = iota // not ours
	Blank                 // nothing
	Audit                 // an audit record
	Gap                   // a count of missing records
	Newer                 // an audit record of a kind that this version does not know
	EnvoyLog              // a line of Envoy's access log
	TykLog                // a line of Tyk's access log
	TykText               // a line of Tyk's access log that is not JSON: it is not read
	Cut                   // a part of one of these
)

// Classify finds the JSON object of a line, without the prefix of a container runtime or of kubectl, and the class
// of what it looks like. It is as fast as a search for a few words, because it looks at every line of large logs.
func Classify(line []byte) ([]byte, Class) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return nil, Blank
	}
	object, whole := findObject(line)
	if !whole {
		return line, classifyPart(line)
	}
	if bytes.HasPrefix(object, []byte(`{"log":"`)) {
		return unwrapDocker(object)
	}
	class := classifyObject(object)
	if class == Other && len(object) < len(line) { // an object of a member, behind the rest of a record?
		return line, classifyPart(line)
	}
	return object, class
}

// maxPrefix is more than kubectl and container runtimes write before a line.
const maxPrefix = 512

func findObject(line []byte) (object []byte, whole bool) {
	at := 0
	if line[0] != '{' {
		at = bytes.IndexByte(line[:min(len(line), maxPrefix)], '{')
	}
	if at < 0 || line[len(line)-1] != '}' {
		return nil, false
	}
	return line[at:], true
}

// unwrapDocker reads the line in a line of Docker's log driver json-file.
func unwrapDocker(object []byte) ([]byte, Class) {
	var wrapped struct{ Log *string }
	if json.Unmarshal(object, &wrapped) != nil || wrapped.Log == nil {
		return object, classifyPart(object)
	}
	return Classify([]byte(*wrapped.Log))
}

func classifyObject(object []byte) Class {
	if kind, found := findText(object, `"kind"`); found {
		switch kind {
		case "issue", "edge", "check":
			return Audit
		case "gap":
			return Gap
		}
		if bytes.Contains(object, []byte(`"decision"`)) && bytes.Contains(object, []byte(`"reason"`)) {
			return Newer
		}
		return Other
	}
	if bytes.Contains(object, []byte(`"response_code"`)) && bytes.Contains(object, []byte(`"start_time"`)) {
		return EnvoyLog
	}
	if bytes.Contains(object, []byte(`"access-log"`)) {
		return TykLog
	}
	return Other
}

// hints are in lines that we read, and rarely in others. A line that has one and is not a whole object was cut.
var hints = [][]byte{
	[]byte(`"kind":"check"`), []byte(`"kind":"issue"`), []byte(`"kind":"edge"`), []byte(`"kind":"gap"`), []byte(`"duration_us":`),
	[]byte(`"decision":"`), []byte(`"decision_id":`), []byte(`"response_code":`), []byte(`"start_time":"`), []byte(`"access-log"`), []byte(`{"time":"`), []byte(`{"authority":`),
}

func classifyPart(line []byte) Class {
	if bytes.Contains(line, []byte("prefix=access-log")) {
		return TykText
	}
	for _, hint := range hints {
		if bytes.Contains(line, hint) {
			return Cut
		}
	}
	return Other
}

// findText returns the value of the first member with this quoted name, if it is a text without escapes.
func findText(object []byte, name string) (text string, found bool) {
	at := bytes.Index(object, []byte(name))
	if at < 0 {
		return "", false
	}
	rest := bytes.TrimLeft(object[at+len(name):], " \t")
	rest, colon := bytes.CutPrefix(rest, []byte(":"))
	rest, quote := bytes.CutPrefix(bytes.TrimLeft(rest, " \t"), []byte(`"`))
	if !colon || !quote {
		return "", false
	}
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return "", false
	}
	return string(rest[:end]), true
}

// SplitTorn returns the lines of a line into which a writer began a second record before the first one ended.
func SplitTorn(line []byte) (first, rest []byte) {
	const begin = `{"time":"`
	if at := bytes.Index(line[min(1, len(line)):], []byte(begin)); at >= 0 && bytes.HasPrefix(bytes.TrimSpace(line), []byte(`{`)) {
		return line[:at+1], line[at+1:]
	}
	return line, nil
}

// Parse reads an object of a class that is read.
func Parse(object []byte, class Class) (Record, bool) {
	var r Record
	var err error
	switch class {
	case Audit:
		r, err = parseAudit(object)
		if !r.Kind.IsAudit() { // the name is there twice
			return Record{}, false
		}
	case EnvoyLog:
		r, err = parseEnvoy(object)
	case TykLog:
		r, err = parseTyk(object)
	default:
		return r, false
	}
	return r, err == nil && !r.Time.IsZero()
}
