package kind

import (
	"fmt"
	"io"
	"time"
)

// Printer writes progress for people.
type Printer struct{ Out io.Writer }

func (p *Printer) line(format string, args ...any) { fmt.Fprintf(p.Out, format+"\n", args...) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
