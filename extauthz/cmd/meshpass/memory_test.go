package main

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// The collector gets nine tenths of the container's memory, unless the user says
// otherwise or there is no limit.
func TestTheMemoryLimitOfTheContainer(t *testing.T) {
	for _, row := range []struct {
		name, goMemLimit string
		limit            uint64
		err              error
		want             int64
		log              string
	}{
		{"the shipped container", "", 256 << 20, nil, 241591910, `"container":268435456,"go":241591910`},
		{"GOMEMLIMIT is set", "200MiB", 256 << 20, nil, math.MaxInt64, ""},
		{"no limit", "", 0, memlimit.ErrNoLimit, math.MaxInt64, ""},
		{"no cgroup", "", 0, memlimit.ErrNoCgroup, math.MaxInt64, ""},
		{"another system", "", 0, memlimit.ErrCgroupsNotSupported, math.MaxInt64, ""},
		{"zero", "", 0, nil, math.MaxInt64, ""},
		{"unlimited as a number", "", math.MaxUint64, nil, math.MaxInt64, ""},
		{"not readable", "", 0, errors.New("permission denied"), math.MaxInt64, "set GOMEMLIMIT"},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := debug.SetMemoryLimit(math.MaxInt64)
			defer debug.SetMemoryLimit(before)
			percent := debug.SetGCPercent(100)
			defer debug.SetGCPercent(percent)
			t.Setenv("GOGC", "")
			var log bytes.Buffer
			limitOf := func() (uint64, error) { return row.limit, row.err }
			followMemoryLimit(row.goMemLimit, limitOf, slog.New(slog.NewJSONHandler(&log, nil)))
			if got := debug.SetMemoryLimit(-1); got != row.want {
				t.Errorf("got %d, want %d", got, row.want)
			}
			wantPercent := 100
			if row.want != math.MaxInt64 {
				wantPercent = gcPercent
			}
			if got := debug.SetGCPercent(100); got != wantPercent {
				t.Errorf("GC percent %d, want %d", got, wantPercent)
			}
			if got := log.String(); !strings.Contains(got, row.log) || (got == "") != (row.log == "") {
				t.Errorf("got %s, want %q", got, row.log)
			}
		})
	}
}

// A GOGC that the user has set stays.
func TestAGOGCOfTheUserStays(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(200 << 20))
	defer debug.SetGCPercent(debug.SetGCPercent(70))
	collectLessOften("70")
	if got := debug.SetGCPercent(70); got != 70 {
		t.Errorf("got %d", got)
	}
}
