// Package bench measures costs as ratios: the rows of a group are measured in turns, round by round, so that other
// work on the machine slows all of them, and a row is compared with its base of the same round.
//
// To add a row, add it to the list of a group: a name, a function that measures one round, the rows that it is
// compared with, and its target. To add a group, write a function that returns one, and name it in [Groups].
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"
)

// Group is rows that use the same running programs.
type Group struct {
	Name  string
	Peers bool // other projects: measured only if [Options.Peers] is set
	Rows  []Row
	// NotRun are the rows that cannot be measured, with the reason.
	NotRun []string
	// Start starts what the rows need. The function that it returns ends that; it is called after an error too, unless
	// it is nil. Start may be nil.
	Start func(context.Context, Round) (end func() error, err error)
}

// Row is one figure.
type Row struct {
	Name    string // of the result: GROUP/NAME
	Unit    string
	Measure func(context.Context, Round) (float64, error) // in one round

	Base   []string // names of rows of this group, measured earlier in the round: the row is compared with their sum
	Minus  []string // names of rows of this group whose values are subtracted before that
	Target Target   // of the ratio to Base, or of the value if there is no Base
	Helper bool     // the row is only the base of others: it is measured where they are, and not for itself
	Once   bool     // one round is enough: each costs much time, or the value does not vary
}

// Target is a bound. The zero value is none.
type Target struct{ AtMost, AtLeast float64 }

func (t Target) isMet(value float64) bool {
	return (t.AtMost == 0 || value <= t.AtMost) && (t.AtLeast == 0 || value >= t.AtLeast)
}

func (t Target) isSet() bool { return t != Target{} }

func (t Target) String() string {
	switch {
	case t.AtMost != 0:
		return fmt.Sprintf("≤ %.4g", t.AtMost)
	case t.AtLeast != 0:
		return fmt.Sprintf("≥ %.4g", t.AtLeast)
	}
	return ""
}

// Round is what a measurement needs to know.
type Round struct {
	Number  int           // from 0; -1: the start of a group
	Length  time.Duration // of the measurement of one row
	Profile string        // folder for CPU profiles; empty: none
	Log     func(format string, args ...any)
	env     []string // of the servers
}

// Options of [Run].
type Options struct {
	Rows     *regexp.Regexp // of the names of rows, GROUP/NAME; nil: all
	Rounds   int
	Length   time.Duration
	Peers    bool
	Profile  string
	Progress io.Writer
}

// Run measures the groups one after the other. An error of a group does not keep the others from being measured: the
// results of all others come with it.
func Run(ctx context.Context, groups []Group, o Options) (Result, error) {
	result := newResult(o)
	var failures []error
	for _, g := range groups {
		rows := g.selectRows(o.Rows)
		if len(rows) == 0 || g.Peers && !o.Peers {
			continue
		}
		result.NotRun = append(result.NotRun, g.NotRun...)
		measured, err := g.run(ctx, rows, o)
		result.Rows = append(result.Rows, measured...)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", g.Name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if len(result.Rows) == 0 && len(failures) == 0 {
		failures = append(failures, fmt.Errorf("no row matches %q", o.Rows))
	}
	result.end()
	return result, errors.Join(failures...)
}

// selectRows returns the rows whose name matches, with the rows that they are compared with.
func (g Group) selectRows(names *regexp.Regexp) []Row {
	needed := map[string]bool{}
	for _, row := range slices.Backward(g.Rows) {
		if needed[row.Name] || !row.Helper && (names == nil || names.MatchString(g.Name+"/"+row.Name)) {
			needed[row.Name] = true
			for _, other := range slices.Concat(row.Base, row.Minus) {
				needed[other] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(g.Rows), func(row Row) bool { return !needed[row.Name] })
}

func (g Group) run(ctx context.Context, rows []Row, o Options) (measured []RowResult, err error) {
	round := Round{Number: -1, Length: o.Length, Profile: o.Profile, Log: func(format string, args ...any) {
		_, _ = fmt.Fprintf(o.Progress, g.Name+": "+format+"\n", args...)
	}}
	if g.Start != nil {
		round.Log("starting")
		end, err := g.Start(ctx, round)
		if end != nil {
			defer func() { err = errors.Join(err, end()) }()
		}
		if err != nil {
			return nil, err
		}
	}
	for _, row := range rows {
		measured = append(measured, RowResult{Name: g.Name + "/" + row.Name, Unit: row.Unit, row: row, group: g.Name})
	}
	for round.Number = range o.Rounds {
		values := map[string]float64{}
		for i := range measured {
			m := &measured[i]
			if m.row.Once && round.Number > 0 {
				continue
			}
			value, err := m.row.Measure(ctx, round)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.row.Name, err)
			}
			values[m.row.Name] = value
			m.add(value, values)
			round.Log("%d of %d: %s", round.Number+1, o.Rounds, m.describeLast())
		}
	}
	for i := range measured {
		measured[i].summarise()
	}
	return measured, nil
}
