package doctor

import (
	"fmt"
	"time"
)

// reading is what is known of the clock of a part: its offset from the clock of this machine is at least low and at most
// high. The part gave whole seconds, some time between the request and its answer.
type reading struct {
	part      string
	low, high time.Duration
}

func (a answer) readClock(part string) reading {
	return reading{part, a.date.Sub(a.completed), a.date.Add(time.Second).Sub(a.asked)}
}

// checkClocks compares the clocks of gateways and authorizers with each other. This machine's clock decides only between
// two parts that differ.
func checkClocks(seen *observations, most time.Duration) (lines []Line) {
	var readings []reading
	read := func(a answer, part string) {
		switch {
		case a.err != nil: // its own line describes it
		case a.date.IsZero():
			lines = append(lines, Line{clockCheck, part, NotChecked, "the answer has no Date", "compare the node's clock"})
		default:
			readings = append(readings, a.readClock(part))
		}
	}
	for _, g := range seen.gateways {
		read(g.hello, g.Name)
	}
	for _, a := range seen.authorizers {
		read(a.answer, a.from.String())
	}
	if len(seen.gateways)+len(seen.authorizers) == 0 {
		return seen.describeMissing(clockCheck, "no address of a gateway and of an authorizer", "give --gateway URL and --authorizer ADDRESS")
	}
	reference, others := chooseReference(readings, most), "the others"
	if len(readings) == 1 {
		others = "the clock of this machine, and no other is known"
	}
	for _, r := range readings {
		if apart := r.distance(reference); apart <= most && apart >= -most {
			lines = append(lines, Line{clockCheck, r.part, OK, "agrees with " + others, ""})
		} else {
			lines = append(lines, Line{clockCheck, r.part, Wrong, describeSkew(apart, others), "set the clock of its node; tokens are valid for seconds, with a leeway of seconds (docs/operations.md#alert-token-times)"})
		}
	}
	return lines
}

// chooseReference is the first reading that most others agree with, this machine's included.
func chooseReference(readings []reading, most time.Duration) reading {
	all := append([]reading{{part: "this machine"}}, readings...)
	best, count := all[0], 0
	for _, candidate := range all {
		agree := 0
		for _, other := range all {
			if apart := other.distance(candidate); apart <= most && apart >= -most {
				agree++
			}
		}
		if agree > count {
			best, count = candidate, agree
		}
	}
	return best
}

// distance is how far r is certainly ahead of other; negative: behind; 0: they may be equal.
func (r reading) distance(other reading) time.Duration {
	switch {
	case r.low > other.high:
		return r.low - other.high
	case r.high < other.low:
		return r.high - other.low
	default:
		return 0
	}
}

func describeSkew(apart time.Duration, others string) string {
	direction := "ahead of"
	if apart < 0 {
		direction, apart = "behind", -apart
	}
	return fmt.Sprintf("at least %s %s %s", apart.Round(time.Second), direction, others)
}
