package audit

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/logqueue"
)

// encodeByJSON is the reference.
func encodeByJSON(r Record) (string, error) {
	text, err := json.Marshal(r)
	return string(logqueue.EscapeJSON(text)) + "\n", err
}

var texts = []string{
	"", "", "plain", "GET", `a"b\c`, "<script>&", "é…", "\x00\x1f\x7f", "\u202e\u200b\u2028\u0085", "a\xff", "\U000e0001", "\n\t\r\b\f", "\uFFFD", "/a?b#c'",
}

// randomRecord fills every field that has a JSON name, by its kind.
func randomRecord(t *testing.T, random *rand.Rand) (r Record) {
	text := func() string { return texts[random.IntN(len(texts))] }
	fields := reflect.ValueOf(&r).Elem()
	for i := range fields.NumField() {
		if fields.Type().Field(i).Tag.Get("json") == "-" {
			continue
		}
		switch field := fields.Field(i).Addr().Interface().(type) {
		case *string:
			*field = text()
		case *Kind:
			*field = Kind(text())
		case *int64:
			*field = int64(random.Uint64())
		case *[]string:
			for range random.IntN(3) {
				*field = append(*field, text())
			}
		case *time.Time:
			*field = time.Unix(random.Int64N(4e11)-1e11, random.Int64N(1e9)).UTC()
			if random.IntN(4) == 0 {
				*field = field.In(time.FixedZone("", 3600*random.IntN(30)))
			}
		case *map[string]any:
			values := []any{
				text(), nil, true, false, int64(random.Uint64()), random.Uint32(), random.Float64(), 1e21, []any{text(), 1.5}, map[string]any{text(): text()}, 7, []string{text()},
			}
			if random.IntN(20) == 0 {
				values = append(values, math.NaN())
			}
			for range random.IntN(4) {
				if *field == nil {
					*field = map[string]any{}
				}
				(*field)[text()] = values[random.IntN(len(values))]
			}
		default:
			t.Fatalf("no values for %T", field)
		}
	}
	return r
}

// Every record is encoded as by encoding/json, or cannot be encoded by either.
func TestEncoding(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	failed := 0
	for range 20_000 {
		r := randomRecord(t, random)
		want, wantErr := encodeByJSON(r)
		got, err := appendRecord([]byte("before "), &r)
		if wantErr != nil {
			failed++
			if err == nil {
				t.Fatalf("no error, want %v", wantErr)
			}
			continue
		}
		if err != nil || string(got) != "before "+want {
			t.Fatalf("%v\ngot  %s\nwant %s", err, got, want)
		}
	}
	if failed == 0 {
		t.Error("no record was rejected")
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	r := Record{
		Time: time.Unix(1e9, 7).UTC(), Kind: KindCheck, ID: "1", Path: "/x", Decision: "allow", Reason: "rule_allowed", DurationUS: 7,
		Inputs: map[string]any{"claims.tctx.tenant": "acme", "request.port": uint32(8080), "request.no_caller": false},
	}
	b := make([]byte, 0, 1024)
	if got := testing.AllocsPerRun(100, func() { _, _ = appendRecord(b, &r) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
