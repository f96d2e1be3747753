package token_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/meshpass/meshpass/internal/strictjson"
	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/token"
)

// The fuzzers of this file compare the verifier with the reference: the same claims, or the
// same reason. They use one verifier and one document for all texts, so that what is left
// of one text in the memory of the next would be seen.

// compareObjects reads data by both readers.
func compareObjects(t *testing.T, d *strictjson.Document, data []byte) {
	t.Helper()
	want, faults := token.ParseByReference(data)
	err := d.Parse(string(data))
	got, _ := d.Root().Object()
	d.Clear(100)
	if (err == nil) != (faults == nil) || err != nil && !slices.Contains(faults, err.Error()) {
		t.Fatalf("%q: got %v, want one of %v", data, err, faults)
	}
	// The text also shows the sign of 0.
	if !reflect.DeepEqual(got, want) || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
		t.Fatalf("%q: got %#v, want %#v", data, got, want)
	}
}

func FuzzObjectAgainstReference(f *testing.F) {
	for _, seed := range seeds(f) {
		for _, part := range strings.Split(seed, ".") {
			if data, err := base64.RawURLEncoding.DecodeString(part); err == nil {
				f.Add(data)
			}
		}
	}
	for _, text := range []string{
		`{"a":{"b":1e400,"b":[[[[[[[[[]]]]]]]]]},"c":"\ud800","c":"\ud83d\ude00"}`, `{"a":[-0,-0.0,01]}`, `1.`, `-`, `{}{`, `nullx`, `{"a":tru}`,
		`{"a":9223372036854775807,"b":-9223372036854775808,"c":9223372036854775808,"d":1e-400}`, `{"\u0061":1,"a":2}`, `{"a":"\uD83D\uDE0"}`,
		strings.Repeat(`[`, 10_001) + strings.Repeat(`]`, 10_001), strings.Repeat(`[`, 10_000) + strings.Repeat(`]`, 10_000),
		`{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"10":1,"11":1,"12":1,"13":1,"14":1,"15":1,"16":1,"17":1,"1":1e999,"2":"\ufffd","1":2}`,
	} {
		f.Add([]byte(text))
	}
	var d strictjson.Document
	f.Fuzz(func(t *testing.T, data []byte) { compareObjects(t, &d, data) })
}

// The objects are made from a number, so that most are JSON and have some faults.
func FuzzRandomObjectsAgainstReference(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(seed)
	}
	var d strictjson.Document
	f.Fuzz(func(t *testing.T, seed uint64) {
		for r := range uint64(500) {
			compareObjects(t, &d, randomJSON(rand.New(rand.NewPCG(seed, r))))
		}
	})
}

// randomJSON mostly gives an object. Half of the texts have one byte replaced or are cut.
func randomJSON(r *rand.Rand) []byte {
	var b strings.Builder
	writeRandomObject(r, &b, 0)
	if r.IntN(10) == 0 {
		b.WriteString([]string{" ", "\n", "{}", "\x00", ",", "x"}[r.IntN(6)])
	}
	data := []byte(b.String())
	switch r.IntN(4) {
	case 0:
		const bytes = "{}[]\",:\\ 0e.-\x00\xff\xf0tu"
		data[r.IntN(len(data))] = bytes[r.IntN(len(bytes))]
	case 1:
		data = data[:r.IntN(len(data)+1)]
	}
	return data
}

func writeRandomObject(r *rand.Rand, b *strings.Builder, depth int) {
	b.WriteString("{")
	count := r.IntN(5)
	if r.IntN(20) == 0 {
		count = 16 + r.IntN(4)
	}
	for i := range count {
		if i > 0 {
			b.WriteString(",")
		}
		if r.IntN(3) > 0 {
			fmt.Fprintf(b, `"%d":`, r.IntN(1000))
		} else {
			writeRandomText(r, b)
			b.WriteString([]string{":", " :", ":\t", " : "}[r.IntN(4)])
		}
		writeRandomValue(r, b, depth+1)
	}
	b.WriteString("}")
}

func writeRandomValue(r *rand.Rand, b *strings.Builder, depth int) {
	switch choice := r.IntN(12); {
	case choice < 3 && depth < 10:
		writeRandomObject(r, b, depth)
	case choice < 5 && depth < 10:
		b.WriteString("[")
		for i := range r.IntN(4) {
			if i > 0 {
				b.WriteString(" ,"[r.IntN(2):])
			}
			writeRandomValue(r, b, depth+1)
		}
		b.WriteString("]")
	case choice < 8:
		writeRandomText(r, b)
	case choice < 11:
		b.WriteString([]string{
			"0", "-0", "-0.0", "1.0", "1e3", "1E+3", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
			"1e308", "1e309", "-1e400", "1e-400", "0.1", "01", "1.", ".5", "+1", "-", "1e", "NaN", strconv.FormatInt(r.Int64(), 10),
			"123456789012345678901234567890", "0.30000000000000004", "5e-324",
		}[r.IntN(26)%(26-r.IntN(2)*20)])
	default:
		words := []string{"true", "false", "null", "true", "false", "null", "True", "nul", "truex"}
		b.WriteString(words[r.IntN(6)+r.IntN(50)/49*3])
	}
}

// writeRandomText takes few letters, so that names occur twice.
func writeRandomText(r *rand.Rand, b *strings.Builder) {
	b.WriteString(`"`)
	for range r.IntN(3) {
		switch choice := r.IntN(60); {
		case choice < 40:
			b.WriteString([]string{"a", "b", `\u0061`, `\u0062`, "é", `\u00e9`, `\u00E9`, "😀", `\ud83d\ude00`, `\uD83D\uDE00`}[choice/4])
		case choice < 56:
			b.WriteString([]string{`\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`, `:`, `{`, `,`, `]`, `\u0000`, `\u001f`, "\x7f", ` `}[choice-40])
		default:
			b.WriteString([]string{`\ud800`, `\ude00`, string(utf8.RuneError), `\ufffd`, `\u12`, `\x`, "\x01", `\'`, `\ud83d\u0061`, `\ud83dx`}[r.IntN(10)])
		}
	}
	b.WriteString(`"`)
}

// A text is verified as it is, and header and claims are verified with a valid signature, as
// if a signer were deceived.
func FuzzTokenAgainstReference(f *testing.F) {
	v, key := verifier(f, noon), tokentest.SigningKeys(f).Keys()[0]
	header := []byte(`{"alg":"ES256","kid":"` + key.ID() + `","typ":"txntoken+jwt"}`)
	for _, seed := range seeds(f) {
		parts := strings.Split(seed, ".")
		if len(parts) != 3 {
			f.Add(header, []byte(nil), seed)
			continue
		}
		its, _ := base64.RawURLEncoding.DecodeString(parts[0])
		claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
		f.Add(header, claims, seed)
		f.Add(its, claims, seed)
	}
	f.Fuzz(func(t *testing.T, header, claims []byte, raw string) {
		input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
		signature, err := key.Sign([]byte(input))
		if err != nil {
			t.Fatal(err)
		}
		for _, each := range []string{raw, input + "." + base64.RawURLEncoding.EncodeToString(signature)} {
			want, reasons := v.VerifyByReference(each)
			got, err := v.Verify(each)
			if (err == nil) != (reasons == nil) || err != nil && !slices.Contains(reasons, token.ReasonOf(err)) {
				t.Fatalf("%q: got %v, want one of %v", each, err, reasons)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%q: got %+v, want %+v", each, got, want)
			}
		}
	})
}
