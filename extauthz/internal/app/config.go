package app

import (
	"fmt"

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
	check  *strictyaml.Checker
	data   []byte // of the file
	config config

	lastKeys map[string]*keyset.PublicKeys // what key files held when they could be used, by path
	keyFault strictyaml.Problems           // key files in whose place lastKeys are used
	unread   int                           // of these, files that could not be read at all
}

// maxFileBytes is far more than the configuration or overrides take.
const maxFileBytes = 1 << 20

// open reads the file's shape; what its values mean is checked by section.
func open(file string) (*loader, error) {
	data, err := readfile.Read(file, maxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	l := &loader{data: data}
	l.config.Limits = defaultLimits
	l.config.Cache.VerifiedTokens = rememberedTokens{bytes: defaultCacheBytes}
	l.config.Audit.Queue, l.config.Audit.AnonymousDenials = audit.DefaultQueue, audit.DefaultAnonymous
	if l.check, err = strictyaml.NewChecker(file, data, &l.config); err != nil {
		return nil, err
	}
	return l, nil
}

// again is a loader of the same configuration that has found no problem yet.
func (l *loader) again() *loader {
	return &loader{check: l.check.WithoutProblems(), data: l.data, config: l.config}
}
