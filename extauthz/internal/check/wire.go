package check

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
)

// A CheckRequest is read in one pass over its bytes, and only the fields that a decision reads. Decoding it by proto.Unmarshal would
// cost as much as all that the transport does for it. Every message is accepted or rejected as proto.Unmarshal would do with the
// fields that are read, with the same values: FuzzReadWire compares the two.

// The numbers of the fields that are read, and of all fields of core.Address. TestFieldNumbers compares them with the descriptors.
const (
	checkAttributes = 1 // CheckRequest

	attributesSource      = 1 // AttributeContext
	attributesDestination = 2
	attributesRequest     = 4

	peerAddress   = 1 // AttributeContext.Peer
	peerPrincipal = 4

	requestHTTP = 2 // AttributeContext.Request

	httpMethod    = 2 // AttributeContext.HttpRequest
	httpHeaders   = 3
	httpPath      = 4
	httpHost      = 5
	httpHeaderMap = 13

	headerMapHeaders = 1 // core.HeaderMap

	entryKey   = 1 // an entry of a map, and core.HeaderValue
	entryValue = 2
	entryRaw   = 3 // core.HeaderValue

	addressSocket   = 1 // core.Address: one of them
	addressPipe     = 2
	addressInternal = 3

	socketAddress   = 2 // core.SocketAddress
	socketPort      = 3
	socketNamedPort = 4
	socketResolver  = 5
	socketNetwork   = 7

	pipePath         = 1 // core.Pipe
	internalListener = 1 // core.EnvoyInternalAddress
	internalEndpoint = 2
)

var errNotProto = errors.New("not a CheckRequest")

// wireReader reads one CheckRequest. Its memory is used again. Texts are parts of the message.
type wireReader struct {
	message    string
	data       []byte // the same bytes, which are never written to
	maxHeaders int
	cutOff     bool // the message is known to be cut off: its complete fields are read

	request decide.Request
	http    decide.HTTP
	mapped  []decide.Field // of the map of headers, each name once
	listed  []decide.Field // of the list of headers
	names   nameFilter     // of mapped

	headers int // that were sent
	kept    int // bytes of the fields that are read
}

var wireReaders = sync.Pool{New: func() any { return new(wireReader) }}

// newWireReader returns a reader with memory for one message. The caller releases it when nothing uses the request any more.
func newWireReader(message string, maxHeaders int, cutOff bool) *wireReader {
	w := wireReaders.Get().(*wireReader)
	w.message, w.maxHeaders, w.cutOff = message, maxHeaders, cutOff
	w.data = unsafe.Slice(unsafe.StringData(message), len(message)) // a view, for functions that only read
	return w
}

// maxPooledHeaders is how many headers the memory that is kept has room for. Envoy itself admits 100.
const maxPooledHeaders = 100

func (w *wireReader) release() {
	if w == nil || cap(w.mapped) > maxPooledHeaders || cap(w.listed) > maxPooledHeaders {
		return
	}
	clear(w.mapped)
	clear(w.listed)
	w.http.Headers.Clear()
	*w = wireReader{mapped: w.mapped[:0], listed: w.listed[:0], http: decide.HTTP{Headers: w.http.Headers}}
	wireReaders.Put(w)
}

// read reads the message. After an error the request is empty, as that of a message without any field: it is denied because it has no
// HTTP attributes. A gRPC error may become an allow by Envoy's failOpen: one byte that was not UTF-8 was once enough for that
// (CVE-2023-27488).
func (w *wireReader) read() error {
	if err := w.readCheck(span{0, len(w.data)}); err != nil {
		w.request = decide.Request{}
		return err
	}
	if w.request.HTTP != nil {
		w.addHeaders()
	}
	return nil
}

// addHeaders reads both forms of the headers. Envoy fills the map or, with encode_raw_headers, the list. If both are filled, it is not
// known which one the workload gets, so a token in each of them is a doubled token. Names of the map that differ only in their case are
// read in order, so that the same Check always gives the same answer.
func (w *wireReader) addHeaders() {
	if slices.ContainsFunc(w.mapped, func(f decide.Field) bool { return strings.ToLower(f.Name) != f.Name }) {
		slices.SortFunc(w.mapped, func(a, b decide.Field) int { return strings.Compare(a.Name, b.Name) })
	}
	for _, field := range w.mapped {
		w.http.Headers.Add(field.Name, field.Value)
	}
	for _, field := range w.listed {
		w.http.Headers.Add(field.Name, field.Value)
	}
}

// span is a part of the message.
type span struct{ start, end int }

func (w *wireReader) textOf(s span) string { return w.message[s.start:s.end] }

// validText is textOf for a field of the type string, which must be UTF-8.
func (w *wireReader) validText(s span) (string, error) {
	text := w.textOf(s)
	if !utf8.ValidString(text) {
		return "", errNotProto
	}
	return text, nil
}

// wireField is one field of a message.
type wireField struct {
	number protowire.Number
	isLen  bool // its value has a length: a text, bytes or a message
	isCut  bool // the message ends within its value
	value  span
	size   int // of the whole field
	varint uint64
	isInt  bool
}

// next reads the field at the start of rest, and moves rest behind it. It is false at the end, or where a message that is known to be
// cut off ends.
func (w *wireReader) next(rest *span) (f wireField, ok bool, err error) {
	if rest.start >= rest.end {
		return f, false, nil
	}
	data := w.data[rest.start:rest.end]
	number, kind, n := protowire.ConsumeTag(data)
	if n < 0 {
		return f, false, w.malformed()
	}
	f.number = number
	switch kind {
	case protowire.BytesType:
		length, m := protowire.ConsumeVarint(data[n:])
		if m < 0 {
			return f, false, w.malformed()
		}
		n += m
		f.isLen = true
		if length > uint64(len(data)-n) {
			if !w.cutOff {
				return f, false, errNotProto
			}
			length, f.isCut = uint64(len(data)-n), true
		}
		f.value = span{rest.start + n, rest.start + n + int(length)}
		n += int(length)
	case protowire.VarintType:
		value, m := protowire.ConsumeVarint(data[n:])
		if m < 0 {
			return f, false, w.malformed()
		}
		f.isInt, f.varint = true, value
		n += m
	default:
		m := protowire.ConsumeFieldValue(number, kind, data[n:])
		if m < 0 {
			return f, false, w.malformed()
		}
		n += m
	}
	f.size = n
	rest.start += n
	return f, true, nil
}

// malformed is the error for bytes that are not a field. A message that is known to be cut off may end in such bytes.
func (w *wireReader) malformed() error {
	if w.cutOff {
		return nil
	}
	return errNotProto
}

// keepNested counts the tag and the length of a message whose fields are read. A field of another type has no value that is read.
func (w *wireReader) keepNested(f wireField) span {
	if !f.isLen {
		w.kept += f.size
		return span{}
	}
	w.kept += f.size - (f.value.end - f.value.start)
	return f.value
}

func (w *wireReader) readCheck(rest span) error {
	for {
		f, ok, err := w.next(&rest)
		if !ok {
			return err
		}
		if f.number == checkAttributes {
			if err := w.readAttributes(w.keepNested(f)); err != nil {
				return err
			}
		}
	}
}

func (w *wireReader) readAttributes(rest span) error {
	for {
		f, ok, err := w.next(&rest)
		if !ok {
			return err
		}
		switch f.number {
		case attributesSource:
			err = w.readPeer(w.keepNested(f), &w.request.Source, &socket{})
		case attributesDestination:
			called := socket{address: w.request.Address, port: w.request.Port, isSocket: w.request.Address != "" || w.request.Port != 0}
			err = w.readPeer(w.keepNested(f), &w.request.Destination, &called)
			w.request.Address, w.request.Port = called.address, called.port
		case attributesRequest:
			err = w.readRequest(w.keepNested(f))
		}
		if err != nil {
			return err
		}
	}
}

func (w *wireReader) readPeer(rest span, principal *string, called *socket) error {
	for {
		f, ok, err := w.next(&rest)
		if !ok || f.isCut {
			return err
		}
		switch f.number {
		case peerPrincipal:
			w.kept += f.size
			if f.isLen {
				*principal, err = w.validText(f.value)
			}
		case peerAddress:
			w.kept += f.size
			if f.isLen {
				err = w.readAddress(f.value, called)
			}
		}
		if err != nil {
			return err
		}
	}
}

func (w *wireReader) readRequest(rest span) error {
	for {
		f, ok, err := w.next(&rest)
		if !ok {
			return err
		}
		if f.number == requestHTTP {
			if f.isLen {
				w.request.HTTP = &w.http
			}
			if err := w.readHTTP(w.keepNested(f)); err != nil {
				return err
			}
		}
	}
}

func (w *wireReader) readHTTP(rest span) error {
	for {
		f, ok, err := w.next(&rest)
		if !ok {
			return err
		}
		if f.number == httpHeaderMap {
			if err := w.readHeaderMap(w.keepNested(f)); err != nil {
				return err
			}
			continue
		}
		if f.isCut {
			return nil
		}
		switch f.number {
		case httpMethod:
			err = w.keepText(f, &w.http.Method)
		case httpPath:
			err = w.keepText(f, &w.http.Path)
		case httpHost:
			err = w.keepText(f, &w.http.Host)
		case httpHeaders:
			if w.countHeader(f) && f.isLen {
				err = w.readMapEntry(f.value)
			}
		}
		if err != nil {
			return err
		}
	}
}

func (w *wireReader) keepText(f wireField, into *string) (err error) {
	w.kept += f.size
	if f.isLen {
		*into, err = w.validText(f.value)
	}
	return err
}

// countHeader reports whether a header is among those that may be read.
func (w *wireReader) countHeader(f wireField) bool {
	w.headers++
	if w.headers > w.maxHeaders {
		return false
	}
	w.kept += f.size
	return true
}

func (w *wireReader) readHeaderMap(rest span) error {
	for {
		f, ok, err := w.next(&rest)
		if !ok || f.isCut {
			return err
		}
		if f.number != headerMapHeaders || !w.countHeader(f) || !f.isLen {
			continue
		}
		field, raw, err := w.readEntry(f.value, true)
		if err != nil {
			return err
		}
		if raw != "" { // encode_raw_headers fills only this field
			field.Value = raw
		}
		w.listed = append(w.listed, field)
	}
}

// readMapEntry reads an entry of the map of headers. A later one replaces an earlier one of its name.
func (w *wireReader) readMapEntry(rest span) error {
	field, _, err := w.readEntry(rest, false)
	if err != nil {
		return err
	}
	if w.names.add(field.Name) {
		for i := range w.mapped {
			if w.mapped[i].Name == field.Name {
				w.mapped[i].Value = field.Value
				return nil
			}
		}
	}
	w.mapped = append(w.mapped, field)
	return nil
}

// nameFilter finds the names that cannot be doubled without comparing them with all others.
type nameFilter [4]uint64

// add reports whether the name may have been added before.
func (n *nameFilter) add(name string) (maybe bool) {
	hash := uint8(len(name))
	if len(name) > 0 {
		hash = hash*31 + name[0]
		hash = hash*31 + name[len(name)/2]
		hash = hash*31 + name[len(name)-1]
	}
	word, bit := &n[hash>>6], uint64(1)<<(hash&63)
	maybe = *word&bit != 0
	*word |= bit
	return maybe
}

// readEntry reads an entry of a map, or a core.HeaderValue, which has a raw value too.
func (w *wireReader) readEntry(rest span, isHeaderValue bool) (field decide.Field, raw string, err error) {
	for {
		f, ok, err := w.nextKnown(&rest)
		if !ok {
			return field, raw, err
		}
		if !f.isLen {
			continue
		}
		switch {
		case f.number == entryKey:
			field.Name, err = w.validText(f.value)
		case f.number == entryValue:
			field.Value, err = w.validText(f.value)
		case f.number == entryRaw && isHeaderValue:
			raw = w.textOf(f.value)
		}
		if err != nil {
			return field, raw, err
		}
	}
}

// nextKnown is next for a message that proto.Unmarshal reads as a whole: it accepts no field number beyond the largest one, and nothing
// that is cut off.
func (w *wireReader) nextKnown(rest *span) (f wireField, ok bool, err error) {
	cutOff := w.cutOff
	w.cutOff = false
	f, ok, err = w.next(rest)
	w.cutOff = cutOff
	if f.number > protowire.MaxValidNumber {
		return f, false, errNotProto
	}
	return f, ok, err
}

// socket is the address and port of a core.Address, if it is that of a socket.
type socket struct {
	address  string
	port     uint32
	isSocket bool
}

// readAddress reads a core.Address, whose fields exclude each other: the last one counts.
func (w *wireReader) readAddress(rest span, s *socket) error {
	for {
		f, ok, err := w.nextKnown(&rest)
		if !ok {
			return err
		}
		if !f.isLen {
			continue
		}
		switch f.number {
		case addressSocket:
			if !s.isSocket {
				*s = socket{isSocket: true}
			}
			err = w.readSocket(f.value, s)
		case addressPipe:
			*s = socket{}
			err = w.checkTexts(f.value, pipePath)
		case addressInternal:
			*s = socket{}
			err = w.checkTexts(f.value, internalListener, internalEndpoint)
		}
		if err != nil {
			return err
		}
	}
}

func (w *wireReader) readSocket(rest span, s *socket) error {
	for {
		f, ok, err := w.nextKnown(&rest)
		if !ok {
			return err
		}
		switch {
		case f.number == socketPort && f.isInt:
			s.port = uint32(f.varint)
		case !f.isLen:
		case f.number == socketAddress:
			s.address, err = w.validText(f.value)
		case f.number == socketNamedPort:
			s.port = 0 // one of the two
			_, err = w.validText(f.value)
		case f.number == socketResolver || f.number == socketNetwork:
			_, err = w.validText(f.value)
		}
		if err != nil {
			return err
		}
	}
}

// checkTexts checks a message whose values are not read, but must be valid. The numbers are those of its texts.
func (w *wireReader) checkTexts(rest span, numbers ...protowire.Number) error {
	for {
		f, ok, err := w.nextKnown(&rest)
		if !ok {
			return err
		}
		if f.isLen && slices.Contains(numbers, f.number) {
			if _, err := w.validText(f.value); err != nil {
				return err
			}
		}
	}
}
