package strictyaml

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Position is a place in a file. Lines and columns (bytes) count from 1; 0 is unknown.
type Position struct{ Line, Column int }

// Problem is one mistake and its place.
type Problem struct {
	File string // empty: unknown
	Position
	Key     string // the path of the value, such as trust[0].leeway; empty: unknown. The message names the value too
	Message string
}

func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&b, "%d:", p.Column)
		}
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	return b.String() + p.Message
}

// Problems are all mistakes of a file or of several, reported together: a person who fixes a file
// need not start the program once for each mistake.
type Problems []Problem

// Add records a problem at a place.
func (p *Problems) Add(pos Position, format string, args ...any) {
	*p = append(*p, Problem{Position: pos, Message: fmt.Sprintf(format, args...)})
}

// InFile sets the file of all problems that have no file.
func (p Problems) InFile(file string) Problems {
	for i := range p {
		if p[i].File == "" {
			p[i].File = file
		}
	}
	return p
}

// Err is nil if there is no problem.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Sorted returns the problems in the order of files, lines and columns.
func (p Problems) Sorted() Problems {
	sorted := append(Problems(nil), p...)
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := sorted[i], sorted[j]
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
	return sorted
}

// Error lists the problems, one a line, in the order of files and lines.
func (p Problems) Error() string {
	sorted := p.Sorted()
	lines := make([]string, len(sorted))
	for i, problem := range sorted {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// AsProblems returns the problems that an error carries, or the error as one problem without a
// place; nil for nil.
func AsProblems(err error) Problems {
	var problems Problems
	if err == nil || errors.As(err, &problems) {
		return problems
	}
	return Problems{{Message: err.Error()}}
}

// InFile names the file whose content causes an error; nil for nil.
func InFile(file string, err error) error {
	var problems Problems
	switch {
	case err == nil:
		return nil
	case errors.As(err, &problems):
		return problems.InFile(file)
	}
	return fmt.Errorf("%s: %w", file, err)
}
