package token

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
)

// A remembered token is one text of bytes: a parsed map of claims takes three to
// seven times as much memory, and a copy of it for each caller takes longer than to
// read the text. Only this process writes and reads it, so it has no version:
// numbers are varints (encoding/binary), a text is its length and its bytes, and a
// value of tctx and rctx has its kind in front.

// pack writes what [Verifier.unpack] reads.
func (a accepted) pack() string {
	data := make([]byte, 0, 1024)
	for _, seconds := range []int64{a.times.issued, a.times.expires, a.times.notBefore} {
		data = binary.AppendVarint(data, seconds)
	}
	c := a.claims
	for _, text := range []string{c.Issuer, a.kid, c.Txn, c.Subject, c.Scope, c.Requester} {
		data = packText(data, text)
	}
	data = packObject(data, c.Tctx)
	return string(packObject(data, c.Rctx))
}

// The kinds of values that [strictjson.Object] gives.
const (
	packedNull   = 'n'
	packedFalse  = 'f'
	packedTrue   = 't'
	packedInt    = 'i'
	packedFloat  = 'd'
	packedText   = 's'
	packedList   = 'l'
	packedObject = 'o'
)

func packText(data []byte, text string) []byte {
	return append(binary.AppendUvarint(data, uint64(len(text))), text...)
}

func packObject(data []byte, members map[string]any) []byte {
	data = binary.AppendUvarint(data, uint64(len(members)))
	for name, value := range members {
		data = packValue(packText(data, name), value)
	}
	return data
}

func packValue(data []byte, value any) []byte {
	switch value := value.(type) {
	case nil:
		return append(data, packedNull)
	case bool:
		if value {
			return append(data, packedTrue)
		}
		return append(data, packedFalse)
	case int64:
		return binary.AppendVarint(append(data, packedInt), value)
	case float64:
		return binary.LittleEndian.AppendUint64(append(data, packedFloat), math.Float64bits(value))
	case string:
		return packText(append(data, packedText), value)
	case []any:
		data = binary.AppendUvarint(append(data, packedList), uint64(len(value)))
		for _, entry := range value {
			data = packValue(data, entry)
		}
		return data
	case map[string]any:
		return packObject(append(data, packedObject), value)
	}
	panic(fmt.Sprintf("a claim of Go type %T", value))
}

// unpack gives claims that are the caller's own. Their texts are parts of packed.
func (v *Verifier) unpack(packed string) accepted {
	u := unpacker{packed}
	a := accepted{times: times{issued: u.int(), expires: u.int(), notBefore: u.int()}}
	a.trust = v.issuers[u.text()]
	a.kid = u.text()
	a.claims = &identity.Claims{
		Issuer: a.trust.Issuer, Audience: a.trust.Audience,
		IssuedAt: time.Unix(a.times.issued, 0).UTC(), Expires: time.Unix(a.times.expires, 0).UTC(),
		Txn: u.text(), Subject: u.text(), Scope: u.text(), Requester: u.text(),
		Tctx: u.object(), Rctx: u.object(),
	}
	return a
}

// unpacker holds what is left to read.
type unpacker struct{ rest string }

func (u *unpacker) uint() (n uint64) {
	for i := 0; ; i++ {
		b := u.rest[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			u.rest = u.rest[i+1:]
			return n
		}
	}
}

// int undoes the zigzag of [binary.AppendVarint].
func (u *unpacker) int() int64 {
	n := u.uint()
	return int64(n>>1) ^ -int64(n&1)
}

func (u *unpacker) take(length uint64) (text string) {
	text, u.rest = u.rest[:length], u.rest[length:]
	return text
}

func (u *unpacker) text() string { return u.take(u.uint()) }

func (u *unpacker) object() map[string]any {
	count := u.uint()
	members := make(map[string]any, count)
	for range count {
		name := u.text()
		members[name] = u.value()
	}
	return members
}

func (u *unpacker) value() any {
	switch kind := u.take(1)[0]; kind {
	case packedNull:
		return nil
	case packedFalse, packedTrue:
		return kind == packedTrue
	case packedInt:
		return u.int()
	case packedFloat:
		return math.Float64frombits(binary.LittleEndian.Uint64([]byte(u.take(8))))
	case packedText:
		return u.text()
	case packedList:
		list := make([]any, u.uint())
		for i := range list {
			list[i] = u.value()
		}
		return list
	case packedObject:
		return u.object()
	default:
		panic(fmt.Sprintf("a packed claim of kind %q", kind))
	}
}
