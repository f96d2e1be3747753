package app

import (
	"fmt"
	"os"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/tracing"
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

// config is the file of `meshpass serve`. Keys that are not here are rejected.
// Each section's type, defaults and checks are in the file of its name.
type config struct {
	Listeners       []listenerConfig   `yaml:"listeners"`
	Ops             string             `yaml:"ops" env:"expand"`
	TLS             tlsConfig          `yaml:"tls"`
	TrustDomains    trustDomainsConfig `yaml:"trustDomains"`
	Trust           []trustConfig      `yaml:"trust"`
	Policies        policiesConfig     `yaml:"policies"`
	Envoy           envoyConfig        `yaml:"envoy"`
	Revocation      revocationConfig   `yaml:"revocation"`
	IdentityHeaders map[string]string  `yaml:"identityHeaders"`
	Cache           cacheConfig        `yaml:"cache"`
	Limits          limitsConfig       `yaml:"limits"`
	Audit           auditConfig        `yaml:"audit"`
	Tracing         tracingConfig      `yaml:"tracing"`
	Debug           string             `yaml:"debug" env:"expand"` // address; empty: it does not listen
	Insecure        insecureConfig     `yaml:"insecure"`
}

// configFile is one reading of the file, with defaults.
type configFile struct {
	read    func() ([]byte, error)
	data    []byte
	config  config
	written config // without defaults
	check   *strictyaml.Checker
}

// MaxConfigBytes is far more than the configuration takes.
const MaxConfigBytes = 1 << 20

// readConfig reads the file and sets defaults. Problems of keys and shapes are in the checker. An
// error is for a file that could not be read at all.
func readConfig(name string) (*configFile, error) {
	return parseConfig(name, func() ([]byte, error) {
		data, err := readfile.Read(name, MaxConfigBytes)
		if err != nil {
			return nil, fmt.Errorf("configuration: %w", err)
		}
		return data, nil
	})
}

// parseConfig is [readConfig] for a file that is read in another way.
func parseConfig(name string, read func() ([]byte, error)) (*configFile, error) {
	data, err := read()
	if err != nil {
		return nil, err
	}
	return parseConfigWith(os.LookupEnv, name, data, read)
}

func parseConfigWith(lookup strictyaml.Lookup, name string, data []byte, read func() ([]byte, error)) (f *configFile, err error) {
	f = &configFile{read: read, data: data}
	f.config = config{Limits: defaultLimits, Cache: defaultCache(), Audit: defaultAudit()}
	if f.check, err = strictyaml.NewCheckerWith(lookup, name, data, &f.config); err != nil {
		return nil, err
	}
	f.check.DecodeAgain(&f.written)
	f.config.setDefaults(f.check)
	return f, nil
}

// setDefaults sets what the file does not say, where the default depends on other keys or the key
// is in a list. All other defaults are set before the file is decoded.
func (c *config) setDefaults(file *strictyaml.Checker) {
	for i := range c.Listeners {
		c.Listeners[i].setDefaults(file, strictyaml.Path{"listeners", i})
	}
	c.TrustDomains.setDefaults(file)
	for i := range c.Trust {
		c.Trust[i].setDefaults(file, strictyaml.Path{"trust", i})
	}
	c.Policies.setDefaults(file)
	c.Revocation.setDefaults(file)
}

// settings are the parsed values of a configuration.
type settings struct {
	domains    identity.TrustDomains
	headers    decide.IdentityHeaders
	folders    folders
	admissions []admission // one for each listener
}

// checkConfig checks all sections but trust, whose entries are checked as often as they are read.
func checkConfig(f *configFile) settings {
	s := checkValues(f)
	s.folders = f.config.Policies.parseFolders(f.check, s.domains)
	return s
}

// checkValues is [checkConfig] without the folders of documents, which have to exist.
func checkValues(f *configFile) settings {
	c, file := f.config, f.check
	checkListeners(file, c)
	checkDebug(file, c.Debug)
	c.TLS.check(file)
	c.Limits.check(file)
	c.Cache.check(file)
	c.TrustDomains.check(file)
	c.Revocation.check(file, c.Insecure)
	c.Audit.check(file)
	c.Tracing.check(file)
	checkInsecure(file, c)
	checkTrustWithRest(file, c)
	checkOutputFiles(file, c)
	domains := c.TrustDomains.parsedDomains()
	return settings{
		domains:    domains,
		headers:    parseIdentityHeaders(file, c.IdentityHeaders),
		admissions: parseAdmissions(file, c.TLS, c.Listeners, domains),
	}
}

// processMemory is what the process takes with policies, key sets and revocations of
// a usual size, and no Checks.
const processMemory = 32 * bytesize.MiB

// memory is the sum of all that peers can fill.
func (c config) memory() bytesize.Size {
	spans := bytesize.Size(0)
	if c.Tracing.OTLP.Endpoint != "" {
		spans = tracing.MaxMemory
	}
	return processMemory + spans + c.Cache.VerifiedTokens.bytes + c.Audit.Queue + c.Limits.ofProcess().MaxMemory(len(c.Listeners))
}
