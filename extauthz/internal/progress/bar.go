// Package progress shows on standard error how far a long command is. Nothing is shown of a command that ends within two seconds.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

const (
	quiet    = 2 * time.Second        // before the first line
	redraw   = 200 * time.Millisecond // at a terminal
	nextLine = 5 * time.Second        // elsewhere
	width    = 30                     // of the bar, in characters
)

// Bar shows a number of bytes.
type Bar struct {
	to       io.Writer
	terminal bool
	what     string
	total    int64 // 0: not known
	now      func() time.Time
	began    time.Time
	next     time.Time
	drawn    bool
}

// New starts a bar. A total of 0 is one that is not known.
func New(to io.Writer, what string, total int64) *Bar {
	b := &Bar{to: to, terminal: IsTerminal(to), what: what, total: total, now: time.Now}
	b.startClock()
	return b
}

func (b *Bar) startClock() {
	b.began = b.now()
	b.next = b.began.Add(quiet)
}

// IsTerminal reports whether a writer is a terminal, where a line can be drawn again.
func IsTerminal(to io.Writer) bool {
	file, ok := to.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Set shows the bytes that are done, if it is time to.
func (b *Bar) Set(done int64) {
	now := b.now()
	if now.Before(b.next) {
		return
	}
	line := b.formatLine(done, now.Sub(b.began))
	if b.terminal {
		b.next = now.Add(redraw)
		b.drawn = true
		fmt.Fprintf(b.to, "\r\x1b[K%s", line)
		return
	}
	b.next = now.Add(nextLine)
	fmt.Fprintf(b.to, "meshpass: %s\n", line)
}

func (b *Bar) formatLine(done int64, took time.Duration) string {
	speed := float64(done) / took.Seconds()
	if b.total <= 0 {
		return fmt.Sprintf("%s %.2f GB, %.0f MB/s", b.what, float64(done)/1e9, speed/1e6)
	}
	share := min(float64(done)/float64(b.total), 1)
	left := time.Duration(float64(b.total-done) / max(speed, 1) * float64(time.Second)).Round(time.Second)
	full := int(share * width)
	return fmt.Sprintf("%s [%s%s] %.0f %% of %.2f GB, %.0f MB/s, %s left", b.what, strings.Repeat("#", full), strings.Repeat(".", width-full), share*100,
		float64(b.total)/1e9, speed/1e6, max(left, 0))
}

// End removes the bar from a terminal.
func (b *Bar) End() {
	if b.drawn {
		fmt.Fprint(b.to, "\r\x1b[K")
	}
}
