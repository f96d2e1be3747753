package keyset

import (
	"bytes"
	"encoding/asn1"
	"math/big"
	"math/rand/v2"
	"testing"
)

// The DER of a signature is that of encoding/asn1, for numbers of any size.
func TestSignaturesAsASN1(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 10_000 {
		signature := make([]byte, 2*coordinate)
		for at := range signature {
			signature[at] = byte(random.Uint32())
		}
		clear(signature[:i%(coordinate+1)])
		clear(signature[coordinate : coordinate+i/7%(coordinate+1)])
		pair := struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:coordinate]), new(big.Int).SetBytes(signature[coordinate:])}
		want, err := asn1.Marshal(pair)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendASN1(nil, signature); !bytes.Equal(got, want) || len(got) > maxASN1 {
			t.Fatalf("%x: got %x, want %x", signature, got, want)
		}
	}
}
