package strictjson

import (
	"math"
	"strings"
	"unicode/utf8"
)

// Document is one JSON object that was read in a single pass. Its values are kept in the
// order of the text, without maps, so that a reader that wants a few members makes only
// these. The zero Document is ready for [Document.Parse], and a Document may be used
// again for another text. Values that were taken from it ([Value.Text], [Value.Object])
// stay valid: they share nothing with the Document.
type Document struct {
	nodes []node

	loses      bool // the text has a U+FFFD
	faulty     bool // a node has a fault
	duplicates bool // a node is dropped
}

// node is one value. The values of a list or an object follow it, up to the node end.
type node struct {
	kind    kind
	fault   fault
	dropped bool   // a later member of the same object has the same name
	parent  int32  // the list or object that holds the value; noParent: the whole document
	end     int32  // the first node after the value
	count   int32  // of entries of a list or object
	name    string // of a member of an object
	text    string // of a text
	number  uint64 // an int64, or the bits of a float64
}

const noParent = -1

type kind uint8

const (
	null kind = iota
	boolFalse
	boolTrue
	integer
	float
	text
	list
	object
)

// fault is what makes a value invalid that is JSON.
type fault uint8

const (
	noFault fault = iota
	lostText
	numberRange
	tooDeep
)

var faultErrors = [...]error{lostText: errLostText, numberRange: errNumber, tooDeep: ErrTooDeep}

// Parse reads one JSON object. Unlike encoding/json it rejects a member name that occurs
// twice (two readers may use different ones), text that is not UTF-8 or has lost
// characters, and anything after the object. Names are compared as they are written:
// "Keys" is not "keys". Errors quote nothing of the document. After an error the Document
// has no values.
//
// Of several faults, bytes that are not UTF-8 are the first, then what is not JSON, what
// follows the value, and a value that is not an object. Then come lost characters,
// numbers and depth in the order of the text, but not in a member whose name occurs
// again later. The last fault is a name that occurs twice.
func (d *Document) Parse(text string) error {
	d.nodes = d.nodes[:0]
	d.faulty, d.duplicates = false, false
	err := d.parse(text)
	if err != nil {
		d.nodes = d.nodes[:0]
	}
	return err
}

func (d *Document) parse(text string) error {
	if !utf8.ValidString(text) {
		return errNotUTF8
	}
	d.loses = strings.Contains(text, lostCharacter)
	s := scanner{text: text, document: d}
	if !s.readDocument() {
		return ErrNotJSON
	}
	s.skipSpace()
	switch {
	case s.at != len(text):
		return errTrailing
	case d.nodes[0].kind != object:
		return ErrNotObject
	case d.faulty:
		if f := d.firstFault(); f != noFault {
			return faultErrors[f]
		}
	}
	if d.duplicates {
		return errNameTwice
	}
	return nil
}

// firstFault passes over members that a later one replaces.
func (d *Document) firstFault() fault {
	for i := int32(0); i < int32(len(d.nodes)); {
		n := &d.nodes[i]
		switch {
		case n.dropped:
			i = n.end
			continue
		case n.fault != noFault:
			return n.fault
		}
		i++
	}
	return noFault
}

// Clear removes all values, so that a Document that waits for its next use keeps no
// text. A Document that has grown beyond maxNodes gives its memory back.
func (d *Document) Clear(maxNodes int) {
	if cap(d.nodes) > maxNodes {
		d.nodes = nil
		return
	}
	clear(d.nodes[:cap(d.nodes)])
	d.nodes = d.nodes[:0]
}

// Root returns the object. It has no members if the Document has no values.
func (d *Document) Root() Value {
	if len(d.nodes) == 0 {
		return Value{}
	}
	return Value{document: d}
}

// Value is a value of a [Document], until the Document is used again. The zero Value is
// an absent one: it is no text, no integer, no list and no object.
type Value struct {
	document *Document
	at       int32
}

// IsPresent reports whether there is such a value. A null is present.
func (v Value) IsPresent() bool { return v.document != nil }

func (v Value) node() *node { return &v.document.nodes[v.at] }

func (v Value) is(k kind) bool { return v.IsPresent() && v.node().kind == k }

// Member returns the member of an object; absent: there is none, or v is no object.
func (v Value) Member(name string) Value {
	if !v.is(object) {
		return Value{}
	}
	nodes, end := v.document.nodes, v.node().end
	for i := v.at + 1; i < end; i = nodes[i].end {
		if nodes[i].name == name {
			return Value{v.document, i}
		}
	}
	return Value{}
}

// HasOnlyMembers reports whether v is an object without other members than these.
func (v Value) HasOnlyMembers(names ...string) bool {
	if !v.is(object) {
		return false
	}
	nodes, end := v.document.nodes, v.node().end
next:
	for i := v.at + 1; i < end; i = nodes[i].end {
		for _, name := range names {
			if nodes[i].name == name {
				continue next
			}
		}
		return false
	}
	return true
}

// OnlyEntry returns the entry of a list that has exactly one.
func (v Value) OnlyEntry() Value {
	if !v.is(list) || v.node().count != 1 {
		return Value{}
	}
	return Value{v.document, v.at + 1}
}

// Text returns a text.
func (v Value) Text() (value string, ok bool) {
	if !v.is(text) {
		return "", false
	}
	return v.node().text, true
}

// Integer returns a number that is written as an integer and fits into an int64.
func (v Value) Integer() (value int64, ok bool) {
	if !v.is(integer) {
		return 0, false
	}
	return int64(v.node().number), true
}

// IsObject reports whether v is an object.
func (v Value) IsObject() bool { return v.is(object) }

// Object makes the map of an object, with all values in it.
func (v Value) Object() (members map[string]any, ok bool) {
	if !v.is(object) {
		return nil, false
	}
	return v.document.makeObject(v.at), true
}

func (d *Document) makeObject(at int32) map[string]any {
	n := &d.nodes[at]
	members := make(map[string]any, n.count)
	for i := at + 1; i < n.end; i = d.nodes[i].end {
		members[d.nodes[i].name] = d.makeValue(i)
	}
	return members
}

func (d *Document) makeList(at int32) []any {
	n := &d.nodes[at]
	entries := make([]any, 0, n.count)
	for i := at + 1; i < n.end; i = d.nodes[i].end {
		entries = append(entries, d.makeValue(i))
	}
	return entries
}

func (d *Document) makeValue(at int32) any {
	switch n := &d.nodes[at]; n.kind {
	case boolFalse, boolTrue:
		return n.kind == boolTrue
	case integer:
		return int64(n.number)
	case float:
		return math.Float64frombits(n.number)
	case text:
		return n.text
	case list:
		return d.makeList(at)
	case object:
		return d.makeObject(at)
	default: // null
		return nil
	}
}
