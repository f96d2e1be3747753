package settings

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"reflect"
	"time"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/forward"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
)

// MaxFileBytes is far more than a configuration needs.
const MaxFileBytes = 1 << 20

// Read reads, completes and checks the file.
func Read(file string) (*Config, error) {
	data, err := readfile.Read(file, MaxFileBytes)
	if err != nil {
		return nil, err
	}
	c, err := Parse(file, data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	c.Generation = hex.EncodeToString(sum[:6])
	return c, nil
}

// Parse reads the content of the file. Its error is a [strictyaml.Problems] with everything that is
// wrong, each with line and column.
func Parse(file string, data []byte) (*Config, error) {
	c, checker, err := Load(file, data)
	if err != nil {
		return nil, err
	}
	if err := checker.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Load is [Parse] for a caller who also checks what the configuration names: all that is wrong is in
// the checker. The error is [strictyaml.Problems]: the content is not YAML.
func Load(file string, data []byte) (*Config, *strictyaml.Checker, error) {
	return LoadWith(os.LookupEnv, file, data)
}

// LoadWith is [Load] with other environment variables.
func LoadWith(lookup strictyaml.Lookup, file string, data []byte) (*Config, *strictyaml.Checker, error) {
	c := &Config{Lifetime: time.Minute, MinRemaining: 5 * time.Second, Audit: DefaultAudit}
	checker, err := strictyaml.NewCheckerWith(lookup, file, data, c)
	if err != nil {
		return nil, nil, err
	}
	completeIDPs(c.IDPs)
	c.completeFolders(checker)
	validator{checker}.checkConfig(c)
	c.resolvePaths(checker)
	c.normalize()
	return c, checker, nil
}

// ConfigKeys are the keys of the configuration, without those below them.
func ConfigKeys() []string { return strictyaml.KeysOf(reflect.TypeFor[Config]()) }

// completeFolders resolves the paths of folders, and gives a folder without a name the last element of
// its path.
func (c *Config) completeFolders(checker *strictyaml.Checker) {
	for i := range c.Edge.Policies {
		folder := &c.Edge.Policies[i]
		if folder.Path == "" {
			continue
		}
		folder.Path = checker.ResolvePath(folder.Path)
		if !checker.Has(strictyaml.Path{"edge", "policies", i, "name"}) {
			folder.Name = policysource.DirName(folder.Path)
		}
	}
}

// resolvePaths reads relative names from the folder of the configuration, as the authorizer does. The
// gateway's working directory can be any.
func (c *Config) resolvePaths(checker *strictyaml.Checker) {
	for _, path := range []*string{&c.Keys.Dir, &c.SecretFile, &c.Revocation.File, &c.Audit.Chain.Key} {
		if *path != "" {
			*path = checker.ResolvePath(*path)
		}
	}
}

// normalize writes values in the form that comparisons use.
func (c *Config) normalize() {
	for _, upstream := range c.Upstreams {
		if host, err := forward.ParseHost(upstream); err == nil { // the check has reported the error
			c.UpstreamHosts = append(c.UpstreamHosts, host)
		}
	}
	for _, p := range c.IDPs {
		for i, source := range p.Sources {
			p.Sources[i] = DecodeJWTSource(source)
		}
		for i, typ := range p.Types {
			p.Types[i] = NormalizeType(typ)
		}
	}
}
