package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/e2e/repo"
)

// newPartsGroup compares parts of a decision with one bare ES256 verification, in one process: the benchmarks of the packages
// themselves take turns with it, and use the fastest turn of each.
func newPartsGroup() Group {
	return Group{Name: "part", Rows: []Row{
		{
			Name: "token-without-signature", Unit: "of an ES256 verification", Target: Target{AtMost: 0.07},
			Measure: measureBenchmark("./shared/token", "^BenchmarkVerifyWithoutSignature$", "100x", "ratio"),
		},
		{
			Name: "token-allocations", Unit: "allocations", Target: Target{AtMost: 20}, Once: true,
			Measure: measureBenchmark("./shared/token", "^BenchmarkVerifyWithoutSignature$", "100x", "allocs/token"),
		},
		{
			Name: "decide", Unit: "of an ES256 verification", Target: Target{AtMost: 0.018},
			Measure: measureBenchmark("./shared/policy", "^BenchmarkDecide$/^rule$", "100x", "ratio"),
		},
	}}
}

// measureBenchmark runs a Go benchmark of the root module and returns one of its figures.
func measureBenchmark(folder, name, times, unit string) func(context.Context, Round) (float64, error) {
	return func(ctx context.Context, _ Round) (float64, error) {
		root, err := repo.Root()
		if err != nil {
			return 0, err
		}
		command := exec.CommandContext(ctx, "go", "test", "-trimpath", "-run", "^$", "-bench", name, "-benchtime", times, folder)
		command.Dir = root
		output, err := command.Output()
		if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
			return 0, fmt.Errorf("%v: %w\n%s%s", command.Args, err, output, failed.Stderr)
		}
		if err != nil {
			return 0, err
		}
		return readFigure(string(output), unit)
	}
}

// readFigure finds a figure in the output of a benchmark, which has pairs of a number and a unit.
func readFigure(output, unit string) (float64, error) {
	fields := strings.Fields(output)
	for i := 1; i < len(fields); i++ {
		if fields[i] == unit {
			return strconv.ParseFloat(fields[i-1], 64)
		}
	}
	return 0, fmt.Errorf("no figure %q in\n%s", unit, output)
}
