package check

// This is the reference of package check's own reader: the selected fields of a message are kept, and proto.Unmarshal decodes them.

import (
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// fieldSet lists the fields that are read of a message, by field number.
type fieldSet map[protowire.Number]*readField

type readField struct {
	subfields fieldSet // read of the message in the field; nil: the whole field
	isHeader  bool     // each field of this number is one header
}

// checkFields are the fields that a decision reads of a CheckRequest, with the names of
// attribute_context.proto. All others, such as a body, are never decoded: many small
// entries of a map take many times the bytes that were sent once they are decoded.
var checkFields = func() fieldSet {
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

// headerField marks a repeated field with one header in each entry.
type headerField struct{}

func selectFields(message protoreflect.MessageDescriptor, names map[string]any) fieldSet {
	selected := fieldSet{}
	for name, below := range names {
		descriptor := message.Fields().ByName(protoreflect.Name(name))
		field := &readField{}
		switch below := below.(type) {
		case headerField:
			field.isHeader = true
		case map[string]any:
			field.subfields = selectFields(descriptor.Message(), below)
		}
		selected[descriptor.Number()] = field
	}
	return selected
}

// pruned is a CheckRequest with only the fields that are read.
type pruned struct {
	kept    []byte
	headers int // that were sent
}

// prune leaves out the fields of a CheckRequest that no decision reads. It leaves out
// all headers after the first maxHeaders too, and counts them. A message that was cut
// off is an error, unless the caller knows that it is: then its complete fields are kept.
func prune(message []byte, maxHeaders int, cutOff bool) (pruned, error) {
	p := pruner{maxHeaders: maxHeaders, cutOff: cutOff}
	p.kept = make([]byte, 0, len(message))
	err := p.keepFields(message, checkFields)
	return p.pruned, err
}

type pruner struct {
	pruned
	maxHeaders int
	cutOff     bool
}

// keepFields keeps the selected fields of the message in data.
func (p *pruner) keepFields(data []byte, selected fieldSet) error {
	for len(data) > 0 {
		number, wireType, n := protowire.ConsumeTag(data)
		if n < 0 {
			return p.malformed()
		}
		field := selected[number]
		if field != nil && field.subfields != nil && wireType == protowire.BytesType {
			size, err := p.keepNested(data, n, field.subfields)
			if err != nil {
				return err
			}
			data = data[size:]
			continue
		}
		size := protowire.ConsumeFieldValue(number, wireType, data[n:])
		if size < 0 {
			return p.malformed()
		}
		p.keepField(data[:n+size], field)
		data = data[n+size:]
	}
	return nil
}

// keepField keeps a whole field, if it is read.
func (p *pruner) keepField(data []byte, field *readField) {
	if field == nil {
		return
	}
	if field.isHeader {
		if p.headers++; p.headers > p.maxHeaders {
			return
		}
	}
	p.kept = append(p.kept, data...)
}

// keepNested keeps the selected fields of the message at the start of data, whose tag
// has tagSize bytes. It gives the size of the whole field.
func (p *pruner) keepNested(data []byte, tagSize int, selected fieldSet) (size int, err error) {
	length, lengthSize := protowire.ConsumeVarint(data[tagSize:])
	if lengthSize < 0 {
		return len(data), p.malformed()
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
	err = p.keepFields(data[start:size], selected)
	putVarint(p.kept[end-lengthSize:end], len(p.kept)-end)
	return size, err
}

// putVarint fills all bytes of into: a varint may be longer than it needs to be. So the
// kept part of a message is never longer than the message was.
func putVarint(into []byte, value int) {
	for i := range into {
		into[i] = byte(value>>(7*i))&0x7f | 0x80
	}
	into[len(into)-1] &= 0x7f
}

// malformed is the error for bytes that are not a field. A message that is known to be
// cut off may end in such bytes.
func (p *pruner) malformed() error {
	if p.cutOff {
		return nil
	}
	return errNotProto
}

// decode turns a Check that cannot be decoded into an empty one.
func decode(message []byte) *auth.CheckRequest {
	request := &auth.CheckRequest{}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(message, request); err != nil {
		return &auth.CheckRequest{}
	}
	return request
}
