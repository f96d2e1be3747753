// Package duration reads durations of configuration files and flags: in the form of
// Go, and with days, as in 7d or 1d12h. A day is 24 hours.
package duration

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Day is the unit d.
const Day = 24 * time.Hour

// errForm is the end of a message for people, after the text.
var errForm = errors.New("write a duration such as 30s, 12h or 7d")

// Parse reads the form of [time.ParseDuration], with or without a number of days before it.
func Parse(text string) (time.Duration, error) {
	rest, negative := text, false
	if strings.HasPrefix(rest, "-") {
		rest, negative = rest[1:], true
	}
	before, after, hasDays := strings.Cut(rest, "d")
	if !hasDays {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, fmt.Errorf("%.32q: %w", text, errForm)
		}
		return d, nil
	}
	days, err := strconv.ParseUint(before, 10, 32)
	left := time.Duration(0)
	if err == nil && after != "" {
		left, err = time.ParseDuration(after)
	}
	if err != nil || strings.HasPrefix(after, "-") || strings.HasPrefix(after, "+") {
		return 0, fmt.Errorf("%.32q: %w", text, errForm)
	}
	if days > uint64((math.MaxInt64-left)/Day) {
		return 0, fmt.Errorf("%.32q is longer than 292 years: %w", text, errForm)
	}
	total := time.Duration(days)*Day + left
	if negative {
		total = -total
	}
	return total, nil
}

// Value is a duration that a flag sets; it implements [flag.Value].
type Value time.Duration

// Set implements [flag.Value].
func (v *Value) Set(text string) error {
	d, err := Parse(text)
	if err != nil {
		return errForm // package flag names the text
	}
	*v = Value(d)
	return nil
}

func (v *Value) String() string { return time.Duration(*v).String() }
