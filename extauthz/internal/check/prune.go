package check

import (
	"errors"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// fields says what is read of a message: by field number, nil for a whole field,
// and the fields of a message for a part of it.
type fields map[protowire.Number]*reading

type reading struct {
	of       fields // nil: the whole field
	isHeader bool   // one header field each
}

// readFields are what a decision reads of a CheckRequest, in the words of
// attribute_context.proto. Everything else, such as a body, is never decoded: what
// is decoded takes many times the bytes that were sent, where they are many small
// entries of a map.
var readFields = func() fields {
	descriptor := (&auth.CheckRequest{}).ProtoReflect().Descriptor()
	peer := map[string]any{"principal": nil, "address": nil}
	return selectFields(descriptor, map[string]any{"attributes": map[string]any{
		"source": peer, "destination": peer,
		"request": map[string]any{"http": map[string]any{
			"method": nil, "path": nil, "host": nil, "headers": headerField{},
			"header_map": map[string]any{"headers": headerField{}},
		}},
	}})
}()

// headerField marks the fields of which each is one header field.
type headerField struct{}

func selectFields(message protoreflect.MessageDescriptor, names map[string]any) fields {
	selected := fields{}
	for name, below := range names {
		field := message.Fields().ByName(protoreflect.Name(name))
		r := &reading{}
		switch below := below.(type) {
		case headerField:
			r.isHeader = true
		case map[string]any:
			r.of = selectFields(field.Message(), below)
		}
		selected[field.Number()] = r
	}
	return selected
}

// pruned is a CheckRequest with the fields that are read.
type pruned struct {
	kept    []byte
	headers int // header fields that were sent
}

var errNotProto = errors.New("not a CheckRequest")

// prune leaves out of a CheckRequest what is not read. With more than maxHeaders
// header fields it leaves out all after these, and counts them. A message that was
// cut off is an error, unless it is known to be: then what is whole of it is kept.
func prune(message []byte, maxHeaders int, cutOff bool) (pruned, error) {
	p := pruner{maxHeaders: maxHeaders, cutOff: cutOff}
	p.kept = make([]byte, 0, len(message))
	err := p.message(message, readFields)
	return p.pruned, err
}

type pruner struct {
	pruned
	maxHeaders int
	cutOff     bool
}

// message keeps, of the fields in data, those that are selected.
func (p *pruner) message(data []byte, selected fields) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return p.broken()
		}
		reading := selected[number]
		if reading != nil && reading.of != nil && kind == protowire.BytesType {
			size, err := p.nested(data, n, reading.of)
			if err != nil {
				return err
			}
			data = data[size:]
			continue
		}
		size := protowire.ConsumeFieldValue(number, kind, data[n:])
		if size < 0 {
			return p.broken()
		}
		p.field(data[:n+size], reading)
		data = data[n+size:]
	}
	return nil
}

// field keeps a whole field, if it is read.
func (p *pruner) field(field []byte, reading *reading) {
	if reading == nil {
		return
	}
	if reading.isHeader {
		if p.headers++; p.headers > p.maxHeaders {
			return
		}
	}
	p.kept = append(p.kept, field...)
}

// nested keeps what is selected of the message at the start of data, whose tag has
// tagSize bytes. It gives the size of the whole field.
func (p *pruner) nested(data []byte, tagSize int, selected fields) (size int, err error) {
	length, lengthSize := protowire.ConsumeVarint(data[tagSize:])
	if lengthSize < 0 {
		return len(data), p.broken()
	}
	start := tagSize + lengthSize
	if length > uint64(len(data)-start) {
		if !p.cutOff {
			return 0, errNotProto
		}
		length = uint64(len(data) - start)
	}
	size = start + int(length)
	p.kept = append(p.kept, data[:start]...)
	end := len(p.kept)
	err = p.message(data[start:size], selected)
	putVarint(p.kept[end-lengthSize:end], len(p.kept)-end)
	return size, err
}

// putVarint fills all of into: a varint may be longer than it needs to be, and what is
// kept of a message is never longer than the message was.
func putVarint(into []byte, value int) {
	for i := range into {
		into[i] = byte(value>>(7*i))&0x7f | 0x80
	}
	into[len(into)-1] &= 0x7f
}

// broken is fine where a message is known to be cut off.
func (p *pruner) broken() error {
	if p.cutOff {
		return nil
	}
	return errNotProto
}
