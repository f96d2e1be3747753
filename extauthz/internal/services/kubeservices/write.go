package kubeservices

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/meshpass/meshpass/extauthz/internal/services"
	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/internal/readfile"
)

// Report describes a write of a file.
type Report struct {
	Out      string    `json:"out"`
	Changed  bool      `json:"changed"`
	Services int       `json:"services"`
	Skipped  []Skipped `json:"skipped"`
}

// maxFileBytes is more than the Services of a large cluster take.
const maxFileBytes = 16 << 20

// Write replaces the file at once, unless it is up to date. A file that is not one of
// Services is not overwritten.
func (f File) Write(out string) (Report, error) {
	report := Report{Out: out, Services: len(f.Services), Skipped: f.Skipped}
	before, err := readfile.Read(out, maxFileBytes)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return report, err
	}
	if bytes.Equal(before, f.Data) {
		return report, nil
	}
	if len(bytes.TrimSpace(before)) > 0 {
		if _, err := services.Parse(before); err != nil {
			return report, fmt.Errorf("%s is not a file of Services, and is not overwritten: %w", out, err)
		}
	}
	report.Changed = true
	return report, atomicfile.Write(out, f.Data, 0o644)
}

// Print writes the report as text.
func (r Report) Print(w io.Writer) {
	done := "nothing to do: %s is up to date: %d Services\n"
	if r.Changed {
		done = "wrote %s: %d Services\n"
	}
	fmt.Fprintf(w, done, r.Out, r.Services)
	for _, skipped := range r.Skipped {
		fmt.Fprintln(w, skipped)
	}
}

func (s Skipped) String() string { return fmt.Sprintf("left out %s: %s", s.Service, s.Why) }
