package search

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/record"
	"github.com/meshpass/meshpass/internal/logqueue"
)

// file is a source that can be read again.
func file(name, text string) Source {
	return Source{Name: name, Size: int64(len(text)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

func pipe(text string) Source {
	s := file("standard input", text)
	s.Once = true
	return s
}

var start = time.Date(2026, 11, 30, 5, 24, 19, 0, time.UTC)

func at(offset time.Duration) string { return start.Add(offset).Format(time.RFC3339Nano) }

func issueOf(txn string, offset time.Duration) string {
	return fmt.Sprintf(`{"time":%q,"kind":"issue","id":"i-%s","txn":%q,"callee":"edge/orders","method":"GET","path":"/jwt/a","sub":"demo:alice","decision":"allow","reason":"issued","duration_us":5}`, at(offset), txn, txn)
}

func checkOf(id, txn, requestID string, offset time.Duration) string {
	withTxn := ""
	if txn != "" {
		withTxn = fmt.Sprintf(`"txn":%q,"sub":"demo:alice",`, txn)
	}
	return fmt.Sprintf(`{"time":%q,"kind":"check","id":%q,%s"request_id":%q,"caller":"ns/edge/sa/tyk","callee":"ns/shop/sa/orders","method":"GET","path":"/a","decision":"deny","reason":"no_rule","duration_us":7}`, at(offset), id, withTxn, requestID)
}

func envoyOf(id, requestID string, offset time.Duration) string {
	return fmt.Sprintf(`{"authority":"orders","decision_id":%s,"duration":4,"method":"GET","path":"/a","request_id":%q,"response_code":403,"start_time":%q,"txn":null}`, id, requestID, at(offset))
}

func tykOf(api string, offset time.Duration) string {
	return fmt.Sprintf(`{"api_id":%q,"latency_total":2,"method":"GET","path":"/a","prefix":"access-log","status":403,"time":%q}`, api, start.Add(offset).Format(time.RFC3339))
}

func lines(all ...string) string { return strings.Join(all, "\n") + "\n" }

// found lists the records of each group, as SOURCE:LINE.
func found(r Result) (groups [][]string) {
	for _, g := range r.Groups {
		var records []string
		for _, r := range g.Records {
			records = append(records, fmt.Sprintf("%s:%d", r.Source, r.Line))
		}
		for _, c := range g.Candidates {
			records = append(records, fmt.Sprintf("maybe %s:%d", c.Source, c.Line))
		}
		slices.Sort(records)
		groups = append(groups, records)
	}
	return groups
}

func search(t *testing.T, q Query, sources ...Source) Result {
	t.Helper()
	result, err := Search{Query: q, Limit: 20}.Run(t.Context(), sources)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

const ms = time.Millisecond

// All records of a request are found by each of its ids, in files of any order and in standard input, also those that have only one id.
func TestJoin(t *testing.T) {
	traced := strings.Replace(checkOf("d1", "t1", "r1", 2*ms), `"request_id"`, `"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","request_id"`, 1)
	logs := lines(
		envoyOf("null", "r1", 1*ms),     // 1: the gateway's side
		envoyOf(`"d1"`, "r1", 2*ms),     // 2
		traced,                          // 3
		checkOf("d2", "", "r1", 5*ms),   // 4: a hop without the token
		issueOf("t1", 0),                // 5
		tykOf("orders", time.Second),    // 6
		tykOf("reports", 0),             // 7: of another API
		tykOf("orders", 5*time.Second),  // 8: later
		checkOf("d3", "t2", "r2", 2*ms), // 9: another request
		envoyOf("null", "r1", time.Hour),
	)
	all := []string{"maybe x:6", "x:1", "x:2", "x:3", "x:4", "x:5"}
	for name, q := range map[string]Query{
		"txn": {ID: "t1"}, "decision id": {ID: "d1"}, "request id": {RequestID: "r1", Since: start.Add(-time.Second)}, "trace id": {TraceID: "4BF92F3577B34DA6A3CE929D0E0E4736"}, "user and request": {Sub: "demo:alice", RequestID: "r1"},
		"caller and txn": {Actor: "ns/edge/sa/tyk", ID: "t1"},
	} {
		for _, source := range []Source{file("x", logs), pipe(logs)} {
			t.Run(name+" in "+source.Name, func(t *testing.T) {
				got := found(search(t, q, source))
				for _, group := range got {
					for i := range group {
						group[i] = strings.Replace(group[i], source.Name, "x", 1)
					}
				}
				want := [][]string{all}
				if name == "request id" { // the line of an hour later is a request of its own
					want = [][]string{{"x:10"}, all}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// Records in several files join, also with standard input.
func TestSources(t *testing.T) {
	for name, sources := range map[string][]Source{
		"files":               {file("envoy", lines(envoyOf("null", "r1", ms))), file("check", lines(checkOf("d1", "t1", "r1", ms))), file("tyk", lines(issueOf("t1", 0)))},
		"with standard input": {{Name: "envoy", Once: true, Open: file("", lines(envoyOf("null", "r1", ms))).Open}, file("check", lines(checkOf("d1", "t1", "r1", ms))), file("tyk", lines(issueOf("t1", 0)))},
	} {
		t.Run(name, func(t *testing.T) {
			got := search(t, Query{ID: "t1"}, sources...)
			if diff := cmp.Diff([][]string{{"check:1", "envoy:1", "tyk:1"}}, found(got)); diff != "" || got.Read.Sources != 3 {
				t.Errorf("%d sources, %s", got.Read.Sources, diff)
			}
		})
	}
}

// Lines that are no whole records of this version are counted, and the others are found.
func TestCounts(t *testing.T) {
	whole := checkOf("d1", "t1", "r1", time.Minute)
	logs := lines(
		whole,
		checkOf("d2", "t1", "r1", 0), // out of order
		whole,                        // repeated
		whole[:120],                  // cut
		whole[:90]+checkOf("d3", "t1", "r1", time.Minute), // torn: a part, and a record
		strings.Replace(whole, `"check"`, `"exchange"`, 1),
		strings.Replace(whole, `"deny"`, `{}`, 1),
		`{"time":"2026-11-30T05:24:19Z","kind":"gap","id":"x","cause":"queue_full","count":3,"since":"2026-11-30T05:24:18Z"}`,
		`{"time":"2026-11-30T05:24:19Z","kind":"gap","id":"x","cause":"sampled","count":4,"since":"2026-11-30T05:24:18Z"}`,
		`{"time":"2026-11-30T05:24:19Z","kind":"gap","id":7}`,
		"starting", "", `{"level":"INFO"}`,
		"level=info prefix=access-log status=200",
		strings.Repeat("x", blockSize+7),
		envoyOf(`"d1"`, "r1", time.Minute), tykOf("orders", time.Minute),
	) + checkOf("d4", "t1", "r1", time.Minute)[:200]
	result := search(t, Query{ID: "t1"}, file("x", logs))
	want := Read{
		Sources: 1, Bytes: int64(len(logs) - blockSize - 8), Lines: 17, Audit: 7, Envoy: 1, Tyk: 1, Other: 2, Cut: 3, TooLong: 1, Unreadable: 2, Newer: 1, TykText: 1, OutOfOrder: 1, Repeated: 1,
		Missing: map[logqueue.Cause]uint64{"queue_full": 3, "sampled": 4},
	}
	if diff := cmp.Diff(want, result.Read); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]string{{"maybe x:17", "x:1", "x:16", "x:2", "x:5"}}, found(result)); diff != "" {
		t.Error(diff)
	}
	text := strings.Join(result.Read.Describe(), "\n")
	for _, part := range []string{"7 audit records", "3 parts of records that were cut", "1 lines longer than 1 MiB", "3 records that were never written: queue_full", "4 records that were never written: sampled"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

// Only the newest requests are kept, in any order of the lines, and the answer says that there are more.
func TestLimit(t *testing.T) {
	var text strings.Builder
	for _, n := range []int{7, 3, 9, 1, 8, 2, 5, 4, 6} {
		text.WriteString(lines(issueOf(fmt.Sprintf("t%d", n), time.Duration(n)*time.Minute), tykOf("orders", time.Duration(n)*time.Minute)))
	}
	for _, query := range []Query{{Sub: "demo:alice"}, {Since: start}} {
		for _, source := range []Source{file("x", text.String()), pipe(text.String())} {
			result, err := Search{Query: query, Limit: 2}.Run(t.Context(), []Source{source})
			if err != nil || !result.More || len(result.Groups) != 2 || result.Groups[0].Txn != "t9" || result.Groups[1].Txn != "t8" {
				t.Errorf("%v, %v", found(result), err)
			}
		}
	}
}

// One request id of many requests: each one has its own records, and the others are named.
func TestReusedRequestID(t *testing.T) {
	logs := lines(envoyOf("null", "r1", 0), checkOf("d1", "t1", "r1", ms), envoyOf("null", "r1", 10*time.Second), checkOf("d2", "t2", "r1", 10*time.Second+ms))
	result := search(t, Query{RequestID: "r1"}, file("x", logs))
	if diff := cmp.Diff([][]string{{"x:3", "x:4"}, {"x:1", "x:2"}}, found(result)); diff != "" {
		t.Error(diff)
	}
	one := search(t, Query{ID: "t1"}, file("x", logs))
	if len(one.Groups) != 1 || !slices.Equal(one.Groups[0].OtherTxns, []string{"t2"}) {
		t.Errorf("other transactions: %+v", one.Groups)
	}
}

// A probe that sends one request id for ever, and no token, is many requests: none is longer than the window.
func TestReusedRequestIDWithoutTransaction(t *testing.T) {
	var logs strings.Builder
	for n := range 10 {
		logs.WriteString(lines(checkOf(fmt.Sprintf("d%d", n), "", "r1", time.Duration(n)*2*time.Minute)))
	}
	for _, source := range []Source{file("x", logs.String()), pipe(logs.String())} {
		got := found(search(t, Query{RequestID: "r1"}, source))
		want := [][]string{{"x:10"}, {"x:7", "x:8", "x:9"}, {"x:4", "x:5", "x:6"}, {"x:1", "x:2", "x:3"}}
		if diff := cmp.Diff(want, got, cmp.Transformer("name", func(s string) string { return strings.Replace(s, "standard input", "x", 1) })); diff != "" {
			t.Error(diff)
		}
	}
}

// The ids of one request are bounded, however many records it has, and its other records are counted.
func TestManyRecordsOfARequest(t *testing.T) {
	var logs strings.Builder
	for n := range 3 * maxRecords {
		logs.WriteString(lines(checkOf(fmt.Sprintf("d%d", n), "", "r1", time.Duration(n)*ms)))
	}
	f := &finder{query: Query{RequestID: "r1"}, index: newIndex(20)}
	if err := f.findIn(t.Context(), file("x", logs.String())); err != nil || len(f.index.groups) != 1 || len(f.index.byID) != maxIDsOfGroup {
		t.Errorf("%d requests, %d ids, %v", len(f.index.groups), len(f.index.byID), err)
	}
	if result := search(t, Query{RequestID: "r1"}, file("x", logs.String())); len(result.Groups) != 1 || result.Groups[0].Omitted != 2*maxRecords {
		t.Errorf("%d requests, %+v", len(result.Groups), result.Read)
	}
}

// While requests are found, at most twice as many are kept as are wanted, and only an eviction looks at all of them.
func TestEvictions(t *testing.T) {
	x := newIndex(100)
	most := 0
	for n := range 10_000 {
		x.addMatch(record.Record{Kind: record.Check, ID: fmt.Sprint("d", n), Txn: fmt.Sprint("t", n), Time: start.Add(time.Duration(n) * ms)})
		most = max(most, len(x.groups))
	}
	x.evictOldest()
	if most != 200 || len(x.groups) != 100 || len(x.byTxn) != 100 || len(x.byID) != 200 || !x.evicted {
		t.Errorf("at most %d, at the end %d requests, %d transactions, %d ids", most, len(x.groups), len(x.byTxn), len(x.byID))
	}
	for _, g := range x.groups {
		if g.first.Before(start.Add(9900 * ms)) {
			t.Errorf("%s is kept", g.Txn)
		}
	}
}

func TestSinceAndMasked(t *testing.T) {
	masked := strings.Replace(strings.Replace(checkOf("d2", "t2", "r2", 0), "demo:alice", "masked", 1), `"decision"`, `"masked":["sub"],"decision"`, 1)
	logs := lines(issueOf("t0", -time.Hour), issueOf("t1", 0), masked)
	result := search(t, Query{Sub: "demo:alice", Since: start.Add(-time.Minute)}, file("x", logs))
	if diff := cmp.Diff([][]string{{"x:2"}}, found(result)); diff != "" || result.Read.Masked != 1 {
		t.Errorf("%d masked, %s", result.Read.Masked, diff)
	}
}

// A value that JSON escapes is found.
func TestEscapedValues(t *testing.T) {
	logs := lines(strings.Replace(checkOf("d1", "t1", "r1", 0), "demo:alice", `demo:\u003calice\u003e \"x\"`, 1))
	if got := search(t, Query{Sub: `demo:<alice> "x"`}, file("x", logs)); len(got.Groups) != 1 {
		t.Errorf("found %v", found(got))
	}
	escaped := lines(checkOf("d1", "", `a"b<c>`, 0), strings.ReplaceAll(envoyOf("null", `a"b<c>`, ms), "<", `\u003c`))
	if diff := cmp.Diff([][]string{{"x:1", "x:2"}}, found(search(t, Query{RequestID: `a"b<c>`}, file("x", escaped)))); diff != "" {
		t.Error(diff)
	}
}

// A source that fails in the middle is named, and the rest is searched.
func TestFailedSource(t *testing.T) {
	failing := Source{Name: "a", Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(lines(issueOf("t1", 0))), &failingReader{})), nil
	}}
	closed := Source{Name: "c.log", Open: func() (io.ReadCloser, error) {
		return nil, &fs.PathError{Op: "open", Path: "c.log", Err: fs.ErrPermission}
	}}
	result := search(t, Query{ID: "t1"}, failing, closed, file("b", lines(checkOf("d1", "t1", "r1", ms))))
	if diff := cmp.Diff([]string{"a: no more", "c.log: permission denied"}, result.Read.Failed); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]string{{"a:1", "b:1"}}, found(result)); diff != "" {
		t.Error(diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Search{Query: Query{ID: "t1"}, Limit: 1}).Run(ctx, []Source{file("b", lines(issueOf("t1", 0)))}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

type failingReader struct{}

func (*failingReader) Read([]byte) (int, error) { return 0, errors.New("no more") }

// Blocks hold each line once, with its number, in reads of any size.
func TestBlocks(t *testing.T) {
	var text bytes.Buffer
	for n := range 200_000 {
		fmt.Fprintf(&text, "line %d\n", n+1)
		if n == 70_000 {
			text.WriteString(strings.Repeat("y", 3*blockSize) + "\n")
		}
	}
	text.WriteString("the last")
	want := 0
	tooLong, err := readBlocks(&oddReader{data: text.Bytes()}, func(b block) error {
		b.forEachLine(func(number int, line []byte) {
			want++
			if want == 70_002 {
				want++ // the long one
			}
			text := fmt.Sprintf("line %d", want)
			if want > 70_002 {
				text = fmt.Sprintf("line %d", want-1)
			}
			if want == 200_002 {
				text = "the last"
			}
			if number != want || string(line) != text {
				t.Fatalf("line %d is %.40q, want %d %q", number, line, want, text)
			}
		})
		return nil
	})
	if err != nil || tooLong != 1 || want != 200_002 {
		t.Errorf("%d lines, %d too long, %v", want, tooLong, err)
	}
}

// oddReader returns few bytes at a time, and sometimes none.
type oddReader struct {
	data []byte
	size int
}

func (r *oddReader) Read(into []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	r.size = (r.size*7 + 13) % 70_000
	n := copy(into[:min(r.size, len(into))], r.data)
	r.data = r.data[n:]
	return n, nil
}

// A search takes no more memory for more lines: at most 160 MiB, of which 64 are the window of standard input. The requests
// that it keeps change all the time.
func TestMemory(t *testing.T) {
	const limit = 160 << 20
	peak := uint64(0)
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	s := Search{Query: Query{Sub: "demo:alice", Since: start}, Limit: 50, Progress: func(int64) {
		metrics.Read(sample)
		sum := uint64(0)
		for _, one := range sample {
			sum += one.Value.Uint64()
		}
		peak = max(peak, sum)
	}}
	result, err := s.Run(t.Context(), []Source{{Name: "x", Once: true, Open: func() (io.ReadCloser, error) { return io.NopCloser(&endless{left: 200 << 20}), nil }}})
	if err != nil || len(result.Groups) != 50 || result.Read.Bytes < 200<<20 {
		t.Fatalf("%d requests, %d bytes, %v", len(result.Groups), result.Read.Bytes, err)
	}
	t.Logf("%d MiB", peak>>20)
	if peak > limit {
		t.Errorf("the search took %d MiB, want at most %d", peak>>20, limit>>20)
	}
}

// endless makes requests, of which every hundredth is alice's.
type endless struct {
	left, n int
	rest    []byte
}

func (e *endless) Read(into []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.left <= 0 {
			return 0, io.EOF
		}
		e.n++
		txn := fmt.Sprintf("01a22aea-e353-79a5-0000-%012d", e.n)
		text := issueOf(txn, time.Duration(e.n)*ms) + "\n" + checkOf("d"+txn, txn, "r"+txn, time.Duration(e.n)*ms) + "\n"
		if e.n%100 != 0 {
			text = strings.ReplaceAll(text, "alice", "bob00")
		}
		e.rest = []byte(text + strings.Repeat(strings.Repeat("x", 999)+"\n", 20))
		e.left -= len(e.rest)
	}
	n := copy(into, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}
