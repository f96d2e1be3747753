package app

import (
	"io"
	"os"
)

type auditConfig struct {
	Output string `yaml:"output"`
}

const toStdout = "stdout"

// openAudit gives where audit records go: stdout, or a file that is appended
// to. The closing does nothing for stdout, which is not ours to close.
func (l *loader) openAudit(stdout io.Writer) io.WriteCloser {
	at := path{"audit", "output"}
	name := l.config.Audit.Output
	if !l.doc.Has(at...) || name == toStdout {
		return unclosed{stdout}
	}
	if !l.has(at, name) {
		return unclosed{io.Discard}
	}
	file, err := os.OpenFile(l.resolve(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		l.refuse(at, "%s", err)
		return unclosed{io.Discard}
	}
	return file
}

type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }
