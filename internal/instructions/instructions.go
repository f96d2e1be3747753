// Package instructions counts the instructions of a piece of work, for tests that guard its cost. Unlike
// time, the count hardly depends on the machine and its load.
package instructions

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// timesVariable makes the test program do the work this many times, and end.
const timesVariable = "MESHPASS_COUNT_TIMES"

// few and many are how often the work is done: the difference leaves out what the program does once.
const few, many = 20, 320

// RequireAtMost fails a test whose work takes more instructions than the bound in one call: see [CountPerCall].
func RequireAtMost(t *testing.T, most float64, work func()) {
	t.Helper()
	got := CountPerCall(t, work)
	t.Logf("%.0f instructions", got)
	if got > most {
		t.Errorf("%.0f instructions, at most %.0f", got, most)
	}
}

// CountPerCall counts the instructions in user space of one call of work. It runs the test that calls it again, as
// a program of its own, under perf or Valgrind. The test is reported as NOT RUN on a machine that
// has neither. Callers must not have side effects before this call.
func CountPerCall(t *testing.T, work func()) float64 {
	t.Helper()
	if times := os.Getenv(timesVariable); times != "" {
		n, err := strconv.Atoi(times)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			work()
		}
		t.SkipNow() // the counting process reports the result
	}
	count := findCounter(context.Background())
	if count == nil {
		t.Skip("NOT RUN: instruction counts: needs valgrind")
	}
	test := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	var counts [2]float64
	for i, times := range []int{few, many} {
		command := count(context.Background(), filepath.Clean(os.Args[0]), "-test.run="+test)
		command.Env = append(os.Environ(), fmt.Sprintf("%s=%d", timesVariable, times), "GOGC=off", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		if counts[i], err = readCount(string(output)); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	}
	return (counts[1] - counts[0]) / (many - few)
}

// counter makes a command that runs a program and prints how many instructions that took.
type counter func(ctx context.Context, program ...string) *exec.Cmd

// findCounter prefers perf. Machines without the hardware's counters, such as most virtual ones, have Valgrind alone.
func findCounter(ctx context.Context) counter {
	perf := func(ctx context.Context, program ...string) *exec.Cmd {
		return exec.CommandContext(ctx, "perf", append([]string{"stat", "-x", ",", "-e", "instructions:u", "--"}, program...)...)
	}
	if output, err := perf(ctx, "true").CombinedOutput(); err == nil {
		if _, err := readCount(string(output)); err == nil {
			return perf
		}
	}
	if _, err := exec.LookPath("valgrind"); err != nil {
		return nil
	}
	return func(ctx context.Context, program ...string) *exec.Cmd {
		return exec.CommandContext(ctx, "valgrind", append([]string{"--tool=callgrind", "--callgrind-out-file=/dev/null"}, program...)...)
	}
}

// countForm is the line of perf stat -x, or of callgrind.
var countForm = regexp.MustCompile(`(?m)^(?:(\d+),,instructions:u,|==\d+== Collected : (\d+))`)

func readCount(output string) (float64, error) {
	found := countForm.FindStringSubmatch(output)
	if found == nil {
		return 0, fmt.Errorf("no count of instructions in the output of perf or Valgrind")
	}
	return strconv.ParseFloat(found[1]+found[2], 64)
}
