package jsonwrite_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/jsonwrite"
)

// requireSame compares both encoders, and requires that what was in the slice stays.
func requireSame(t *testing.T, value any) {
	t.Helper()
	want, wantErr := json.Marshal(value)
	got, err := jsonwrite.AppendValue([]byte("before "), value)
	if wantErr != nil {
		if err == nil || err.Error() != wantErr.Error() {
			t.Errorf("error %v, want %v", err, wantErr)
		}
		return
	}
	if err != nil || string(got) != "before "+string(want) {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}

func TestValuesAreWrittenAsByTheStandardLibrary(t *testing.T) {
	many := map[string]any{}
	for i := range 10_000 {
		many[string(rune(i))] = i
	}
	deep := any("inside")
	for range 200 {
		deep = map[string]any{"list": []any{deep}}
	}
	for _, value := range []any{
		nil, true, false, 0, -7, int64(math.MinInt64), int64(math.MaxInt64),
		0.0, math.Copysign(0, -1), 1.5, -2.25, 1e-6, 9.99e-7, 1e-9, 1e-10, 1e20, 1e21, -1e21, 1e100, math.MaxFloat64, math.SmallestNonzeroFloat64,
		"", "plain", "\x00\x01\x1f\x7f\"\\/\b\f\n\r\t<>&", "\u2027\u2028\u2029\u202a", "\xff", "a\xc3", "\xed\xa0\x80", "\uFFFD", "\U0001F600", "é",
		[]any(nil), []any{}, []string(nil), []string{}, []string{"a", "<b>"}, map[string]any(nil), map[string]any{},
		map[string]any{"b": 1, "a": []any{nil, "x", map[string]any{"\xff": 1.0}}, "": false, "<": "&"},
		many, deep,
		json.Number("1.50"), float32(0.1), uint8(200), []byte("bytes"), map[string]string{"k": "v"}, struct{ A int }{1}, // written by encoding/json
		[]any{json.Number("7"), map[string]int{"x": 1}},
	} {
		requireSame(t, value)
	}
}

func TestValuesThatAreNoJSON(t *testing.T) {
	cyclic := map[string]any{}
	cyclic["self"] = []any{cyclic}
	for _, value := range []any{
		math.NaN(), math.Inf(1), math.Inf(-1), func() {}, make(chan int), json.Number("x"),
		[]any{1, math.NaN()}, map[string]any{"a": map[string]any{"b": func() {}}}, failing{},
	} {
		requireSame(t, value)
	}
	if _, err := jsonwrite.AppendValue(nil, cyclic); err == nil || !strings.Contains(err.Error(), "cycle") {
		t.Errorf("a map that contains itself: %v", err)
	}
}

type failing struct{}

func (failing) MarshalJSON() ([]byte, error) { return nil, errors.New("no") }

func FuzzText(f *testing.F) {
	for _, text := range []string{"", "plain", "\x00\"\\<>&\u2028\xff", "é\xc3"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { requireSame(t, text) })
}

func FuzzValue(f *testing.F) {
	for _, text := range []string{`{"b":[1,2.5e-9,"x<"],"a":{"":null,"t":true}}`, `[[[[]]]]`, `-0`, `1e21`, `"\ud800"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var value any
		if json.Unmarshal([]byte(text), &value) == nil {
			requireSame(t, value)
		}
	})
}

func FuzzFloat(f *testing.F) {
	f.Add(1e-7)
	f.Fuzz(func(t *testing.T, number float64) { requireSame(t, number) })
}

// Random values of all kinds, nested.
func TestRandomValuesAreWrittenAsByTheStandardLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		requireSame(t, randomValue(random, 4))
	}
}

func randomValue(random *rand.Rand, depth int) any {
	switch kind := random.IntN(9); {
	case kind == 0:
		return nil
	case kind == 1:
		return random.IntN(2) == 0
	case kind == 2:
		return int64(random.Uint64())
	case kind == 3:
		if f := math.Float64frombits(random.Uint64()); !math.IsNaN(f) {
			return f
		}
		return random.NormFloat64()
	case kind < 6 || depth == 0:
		text := make([]byte, random.IntN(12))
		for i := range text {
			text[i] = byte(random.UintN(256))
		}
		return string(text)
	case kind == 6:
		list := []any{}
		for range random.IntN(4) {
			list = append(list, randomValue(random, depth-1))
		}
		return list
	default:
		object := map[string]any{}
		for range random.IntN(5) {
			object[string(rune(random.IntN(300)))] = randomValue(random, depth-1)
		}
		return object
	}
}
