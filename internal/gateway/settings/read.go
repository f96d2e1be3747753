package settings

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/forward"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
)

// maxFileBytes is far more than a configuration needs.
const maxFileBytes = 1 << 20

// Read reads, completes and checks the file.
func Read(file string) (*Config, error) {
	data, err := readfile.Read(file, maxFileBytes)
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
	c := &Config{Lifetime: time.Minute, MinRemaining: 5 * time.Second, Audit: DefaultAudit}
	checker, err := strictyaml.NewChecker(file, data, c)
	if err != nil {
		return nil, err
	}
	completeIDPs(c.IDPs)
	c.completeFolders(checker)
	validator{checker}.checkConfig(c)
	if err := checker.Err(); err != nil {
		return nil, err
	}
	c.resolvePaths(checker)
	c.normalize()
	return c, nil
}

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
	c.Keys.Dir, c.SecretFile = checker.ResolvePath(c.Keys.Dir), checker.ResolvePath(c.SecretFile)
	if c.Revocation.File != "" {
		c.Revocation.File = checker.ResolvePath(c.Revocation.File)
	}
}

// normalize writes valid values in the form that comparisons use.
func (c *Config) normalize() {
	for _, upstream := range c.Upstreams {
		host, _ := forward.ParseHost(upstream) // was checked
		c.UpstreamHosts = append(c.UpstreamHosts, host)
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
