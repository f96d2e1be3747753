package kind

import (
	"fmt"
	"io"
	"time"
)

// Printer writes progress for people.
type Printer struct{ Out io.Writer }

func (p *Printer) printLine(format string, args ...any) { fmt.Fprintf(p.Out, format+"\n", args...) }

func formatSeconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
