package app

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/keyset"
)

// config is the file of `meshpass serve`. A key that is not here is refused.
// Each section's type, defaults and checks stand in the file of its name.
type config struct {
	Listeners       []listenerConfig   `yaml:"listeners"`
	Ops             string             `yaml:"ops"`
	TLS             tlsConfig          `yaml:"tls"`
	TrustDomains    trustDomainsConfig `yaml:"trustDomains"`
	Trust           []trustConfig      `yaml:"trust"`
	Policies        policiesConfig     `yaml:"policies"`
	Revocation      revocationConfig   `yaml:"revocation"`
	IdentityHeaders map[string]string  `yaml:"identityHeaders"`
	Cache           cacheConfig        `yaml:"cache"`
	Limits          limitsConfig       `yaml:"limits"`
	Audit           auditConfig        `yaml:"audit"`
	Insecure        insecureConfig     `yaml:"insecure"`
}

// loader reads the configuration and the files that it names, and collects what
// is wrong with any of them.
type loader struct {
	file     string
	data     []byte // of the file
	doc      *strictyaml.Document
	config   config
	decoding strictyaml.Problems // the configuration's own shape
	problems strictyaml.Problems // all else

	lastKeys map[string]*keyset.Public // what key files held when they could be used, by path
	keyFault strictyaml.Problems       // key files in whose place lastKeys are used
	unread   int                       // of these, files that could not be read at all
}

// maxFileBytes is far more than the configuration or overrides take.
const maxFileBytes = 1 << 20

// path is a place in the configuration: keys and indices.
type path []any

// String is the form in which people write it: trust[0].jwks.file.
func (p path) String() string {
	var b strings.Builder
	for i, step := range p {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		case string:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(step)
		}
	}
	return b.String()
}

func (p path) with(steps ...any) path { return append(append(path{}, p...), steps...) }

// open reads the file's shape; what its values mean is checked by section.
func open(file string) (*loader, error) {
	data, err := readfile.Read(file, maxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	doc, err := strictyaml.Parse(data)
	if problems, ok := errors.AsType[strictyaml.Problems](err); ok {
		return nil, problems.In(file)
	}
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", file, err)
	}
	l := &loader{file: file, data: data, doc: doc}
	l.config.Limits = defaultLimits
	l.config.Cache.VerifiedTokens = rememberedTokens{bytes: defaultCacheBytes}
	l.config.Audit.Queue, l.config.Audit.AnonymousDenials = audit.DefaultQueue, audit.DefaultAnonymous
	l.decoding = append(doc.Decode(&l.config), doc.Unexpanded()...)
	return l, nil
}

// refuse notes a problem at a place. It is silent about a value that could not
// even be read, and on a line with a problem that names no column: the value that it
// judges is not the one in the file.
func (l *loader) refuse(at path, format string, args ...any) {
	position := l.doc.At(at...)
	for _, p := range l.decoding {
		if p.Line == position.Line && (p.Column == 0 || p.Column == position.Column) {
			return
		}
	}
	if l.doc.Unreadable(at...) {
		return
	}
	l.problems.Add(position, "%s: %s", at, fmt.Sprintf(format, args...))
}

// has reports whether a text is there, and refuses the configuration if not.
func (l *loader) has(at path, value string) bool {
	switch {
	case !l.doc.Has(at...):
		l.refuse(at, "missing")
	case value == "":
		l.refuse(at, "empty")
	}
	return value != ""
}

// hasEntries does the same for a list.
func (l *loader) hasEntries(at path, length int) {
	switch {
	case !l.doc.Has(at...):
		l.refuse(at, "missing: give at least one entry")
	case length == 0:
		l.refuse(at, "empty: give at least one entry")
	}
}

// isOneOf refuses a text that is there and not in the list.
func (l *loader) isOneOf(at path, value string, allowed ...string) {
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	l.refuse(at, "%q is not supported: write %s", value, strings.Join(allowed, " or "))
}

// resolve gives a path as the configuration means it: relative to its folder.
func (l *loader) resolve(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(l.file), name)
}

// again is a loader of the same configuration that has found no problem yet.
func (l *loader) again() *loader {
	return &loader{file: l.file, data: l.data, doc: l.doc, config: l.config, decoding: l.decoding}
}

// err is all that is wrong, in the order of files and lines.
func (l *loader) err() error {
	all := append(append(strictyaml.Problems{}, l.decoding...), l.problems...)
	return all.In(l.file).Err()
}
