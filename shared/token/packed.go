package token

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
)

// verifiedToken is a token that has passed every rule but the one about revocations. All
// that can change about it is the time, and whether it is revoked.
type verifiedToken struct {
	claims *identity.Claims
	kid    string
	times  tokenTimes
	trust  Trust
}

// A cached token is one string of bytes. A map of claims takes three to seven times as
// much memory, and to copy it for each caller takes longer than to read the string. Only
// this process writes and reads it, so it has no version. Numbers are varints
// (encoding/binary), a text is its length and its bytes, and each value of tctx and rctx
// begins with a tag.

// pack writes the form that [unpackToken] reads.
func (t verifiedToken) pack() string {
	data := make([]byte, 0, 1024)
	for _, seconds := range []int64{t.times.issued, t.times.expires, t.times.notBefore} {
		data = binary.AppendVarint(data, seconds)
	}
	c := t.claims
	for _, text := range []string{c.Issuer, t.kid, c.Txn, c.Subject, c.Scope, c.Requester} {
		data = packText(data, text)
	}
	data = packObject(data, c.Tctx)
	return string(packObject(data, c.Rctx))
}

// The tags of values, one for each type that [strictjson.ParseObject] returns.
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

// unpackToken returns the token with claims that belong to the caller. Their texts are
// parts of packed.
func unpackToken(packed string, issuers map[string]Trust) verifiedToken {
	u := unpacker{packed}
	t := verifiedToken{times: tokenTimes{issued: u.readInt(), expires: u.readInt(), notBefore: u.readInt()}}
	t.trust = issuers[u.readText()]
	t.kid = u.readText()
	t.claims = &identity.Claims{
		Issuer: t.trust.Issuer, Audience: t.trust.Audience,
		IssuedAt: time.Unix(t.times.issued, 0).UTC(), Expires: time.Unix(t.times.expires, 0).UTC(),
		Txn: u.readText(), Subject: u.readText(), Scope: u.readText(), Requester: u.readText(),
		Tctx: u.readObject(), Rctx: u.readObject(),
	}
	return t
}

// unpacker holds the rest that is still to be read.
type unpacker struct{ rest string }

func (u *unpacker) readUint() (n uint64) {
	for i := 0; ; i++ {
		b := u.rest[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			u.rest = u.rest[i+1:]
			return n
		}
	}
}

// readInt undoes the zigzag of [binary.AppendVarint].
func (u *unpacker) readInt() int64 {
	n := u.readUint()
	return int64(n>>1) ^ -int64(n&1)
}

func (u *unpacker) readBytes(length uint64) (text string) {
	text, u.rest = u.rest[:length], u.rest[length:]
	return text
}

func (u *unpacker) readText() string { return u.readBytes(u.readUint()) }

func (u *unpacker) readObject() map[string]any {
	count := u.readUint()
	members := make(map[string]any, count)
	for range count {
		name := u.readText()
		members[name] = u.readValue()
	}
	return members
}

func (u *unpacker) readValue() any {
	switch tag := u.readBytes(1)[0]; tag {
	case packedNull:
		return nil
	case packedFalse, packedTrue:
		return tag == packedTrue
	case packedInt:
		return u.readInt()
	case packedFloat:
		return math.Float64frombits(binary.LittleEndian.Uint64([]byte(u.readBytes(8))))
	case packedText:
		return u.readText()
	case packedList:
		list := make([]any, u.readUint())
		for i := range list {
			list[i] = u.readValue()
		}
		return list
	case packedObject:
		return u.readObject()
	default:
		panic(fmt.Sprintf("a packed claim with the tag %q", tag))
	}
}
