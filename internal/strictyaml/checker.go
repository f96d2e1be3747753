package strictyaml

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Path is a place in a document: keys (string) and indices (int).
type Path []any

// String writes a path as people do: trust[0].jwks.file.
func (p Path) String() string {
	var b strings.Builder
	for i, step := range p {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			fmt.Fprint(&b, step)
		}
	}
	return b.String()
}

// With returns a path below this one, which stays as it is.
func (p Path) With(steps ...any) Path { return append(slices.Clip(slices.Clone(p)), steps...) }

// Checker reads a configuration file and checks its values. It collects all problems, those of
// the file's shape and those of its values, so that they are reported together.
//
// Methods named Reject and Require record problems. Those of Require return whether the value can
// be used. Every message has the path of its value, the wanted form and the value:
//
//	meshpass.yaml:9:18: trust[0].leeway: want 0s to 1m0s, not 5m0s
//
// A mistake gets one message. A problem of a value is dropped if the file's shape has a problem at
// the same place, or in the same line if that problem has no column. It is also dropped if the
// value, a part of it or a value above it could not be read: the decoded value then differs from
// the file.
type Checker struct {
	file   string
	doc    *Document
	shape  Problems // found by Decode and expandVariables
	values Problems
}

// NewChecker decodes the content of a file into a pointer to a struct with yaml tags. A key that
// the file does not have keeps its value there. Environment variables are expanded in the values of
// fields with the tag env:"expand". The error is [Problems]: the content is not YAML.
func NewChecker(file string, data []byte, into any) (*Checker, error) {
	return NewCheckerWith(os.LookupEnv, file, data, into)
}

// NewCheckerWith is [NewChecker] with other environment variables.
func NewCheckerWith(lookup Lookup, file string, data []byte, into any) (*Checker, error) {
	doc, err := Parse(data)
	if err != nil {
		return nil, AsProblems(err).InFile(file)
	}
	unexpanded := doc.expandVariables(reflect.TypeOf(into).Elem(), lookup)
	return &Checker{file: file, doc: doc, shape: append(doc.Decode(into), unexpanded...)}, nil
}

// WithoutProblems returns a checker of the same document that has recorded no problem of a value.
func (c *Checker) WithoutProblems() *Checker {
	return &Checker{file: c.file, doc: c.doc, shape: c.shape}
}

// File is the name of the file, as given to [NewChecker].
func (c *Checker) File() string { return c.file }

// Has reports whether the file has a value at the path.
func (c *Checker) Has(at Path) bool { return c.doc.Has(at...) }

// ResolvePath returns the path of a file that the configuration names: relative names are
// relative to the configuration's own folder.
func (c *Checker) ResolvePath(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(c.file), name)
}

// DecodeAgain fills another value from the document, without defaults and without a report: the first
// decoding has reported the mistakes.
func (c *Checker) DecodeAgain(into any) { _ = c.doc.Decode(into) }

// Err is nil or all problems of the file, as [Problems].
func (c *Checker) Err() error {
	return append(slices.Clone(c.shape), c.values...).InFile(c.file).Err()
}

// ErrOfShape is [Checker.Err] without the problems of values.
func (c *Checker) ErrOfShape() error { return slices.Clone(c.shape).InFile(c.file).Err() }

// ErrOfValues is [Checker.Err] without the problems of the file's shape.
func (c *Checker) ErrOfValues() error { return slices.Clone(c.values).InFile(c.file).Err() }

// ProblemAt is what Reject would record.
func (c *Checker) ProblemAt(at Path, format string, args ...any) Problem {
	return Problem{File: c.file, Position: c.doc.PositionOf(at...), Key: at.String(), Message: fmt.Sprintf("%s: %s", at, fmt.Sprintf(format, args...))}
}

// Reject records a problem of the value at the path, or of the nearest value above it.
func (c *Checker) Reject(at Path, format string, args ...any) {
	if !c.isReported(at) {
		c.values = append(c.values, c.ProblemAt(at, format, args...))
	}
}

// isReported reports whether the shape of the value at the path has a problem already.
func (c *Checker) isReported(at Path) bool {
	place := c.doc.PositionOf(at...)
	same := func(p Problem) bool { return p.Line == place.Line && (p.Column == 0 || p.Column == place.Column) }
	return slices.ContainsFunc(c.shape, same) || c.doc.Unreadable(at...)
}

// RejectIfPresent rejects a value that has no effect where it is.
func (c *Checker) RejectIfPresent(at Path, format string, args ...any) {
	if c.Has(at) {
		c.Reject(at, format, args...)
	}
}

// ErrorAt returns an error as [Problems], with the place of the value that causes it. Problems of
// another document stay as they are.
func (c *Checker) ErrorAt(at Path, err error) error {
	var problems Problems
	if err == nil || errors.As(err, &problems) {
		return err
	}
	return Problems{c.ProblemAt(at, "%s", err)}
}

// RejectError records an error that the value at the path causes, as [Checker.ErrorAt] returns it.
// Problems of other values and of other documents are recorded as they are.
func (c *Checker) RejectError(at Path, err error) {
	for _, problem := range AsProblems(c.ErrorAt(at, err)) {
		ofValue := problem.File == c.file && strings.HasPrefix(problem.Message, at.String()+": ")
		if !ofValue || !c.isReported(at) {
			c.values = append(c.values, problem)
		}
	}
}

// RequireText rejects a text that is missing or empty.
func (c *Checker) RequireText(at Path, value string) bool {
	switch {
	case value != "":
		return true
	case c.Has(at):
		c.Reject(at, "empty")
	default:
		c.Reject(at, "missing")
	}
	return false
}

// RequireTextIfPresent is for texts that may be absent: an empty one may be a variable that was not
// filled in.
func (c *Checker) RequireTextIfPresent(at Path, value string) bool {
	return !c.Has(at) || c.RequireText(at, value)
}

// RequireDistinct rejects an entry of a list that an entry before it repeats: one of the two was meant
// to be another.
func (c *Checker) RequireDistinct(at Path, values []string) {
	for i, value := range values {
		if slices.Index(values, value) < i {
			c.Reject(at.With(i), "%s is in the list already", value)
		}
	}
}

// RequireEntries rejects a list or mapping that is missing or has no entry.
func (c *Checker) RequireEntries(at Path, length int) bool {
	switch {
	case length > 0:
		return true
	case c.Has(at):
		c.Reject(at, "empty: give at least one entry")
	default:
		c.Reject(at, "missing: give at least one entry")
	}
	return false
}

// RequireEntriesIfPresent is for lists whose absence means any: an empty list would mean the
// opposite to the person who wrote it.
func (c *Checker) RequireEntriesIfPresent(at Path, length int) bool {
	return !c.Has(at) || c.RequireEntries(at, length)
}

// RequireOneOf rejects a text that is not among the allowed ones.
func (c *Checker) RequireOneOf(at Path, value string, allowed ...string) bool {
	if slices.Contains(allowed, value) {
		return true
	}
	c.Reject(at, "want %s, not %q", joinAlternatives(allowed), value)
	return false
}

func joinAlternatives(all []string) string {
	last := len(all) - 1
	if last < 1 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:last], ", ") + " or " + all[last]
}

// RequireRange rejects a number, size or duration that is not between the two bounds; both are allowed.
func RequireRange[T cmp.Ordered](c *Checker, at Path, value, least, most T) bool {
	if value >= least && value <= most {
		return true
	}
	c.Reject(at, "want %v to %v, not %v", least, most, value)
	return false
}

// RequireAddress rejects a text that is not IP:PORT. Names are not allowed: the address of one
// may change between this check and its use.
func (c *Checker) RequireAddress(at Path, value string) (netip.AddrPort, bool) {
	if !c.RequireText(at, value) {
		return netip.AddrPort{}, false
	}
	address, err := netip.ParseAddrPort(value)
	if err != nil {
		c.Reject(at, "want IP:PORT, such as 127.0.0.1:9000, not %q", value)
	}
	return address, err == nil
}

// RequireDir rejects a path that does not lead to a folder.
func (c *Checker) RequireDir(at Path, dir string) bool {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		c.Reject(at, "%s", err)
	case !info.IsDir():
		c.Reject(at, "%s is a file: name the folder that holds it", dir)
	}
	return err == nil && info.IsDir()
}
