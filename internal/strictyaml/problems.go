package strictyaml

import (
	"fmt"
	"sort"
	"strings"
)

// Position is a place in a file, both counted from 1; the zero value is none.
type Position struct{ Line, Column int }

// Problem is one thing that is wrong, and where.
type Problem struct {
	File string // may be empty
	Position
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

// Problems is all that is wrong, reported together: whoever mends a file
// should not have to start the program once for each mistake.
type Problems []Problem

// Add notes a problem at a place.
func (p *Problems) Add(pos Position, format string, args ...any) {
	*p = append(*p, Problem{Position: pos, Message: fmt.Sprintf(format, args...)})
}

// In gives every problem that names no file this one.
func (p Problems) In(file string) Problems {
	for i := range p {
		if p[i].File == "" {
			p[i].File = file
		}
	}
	return p
}

// Err is nil when nothing is wrong.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Error lists the problems, one a line, in the order of files and lines.
func (p Problems) Error() string {
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
	lines := make([]string, len(sorted))
	for i, problem := range sorted {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}
