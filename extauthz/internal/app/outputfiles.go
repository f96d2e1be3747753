package app

import (
	"os"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

// namedFile is a file that the configuration names.
type namedFile struct {
	at   strictyaml.Path
	path string
}

// checkOutputFiles rejects an audit file that is another file of the configuration: records would be
// written into a key set, or a key set into the records.
func checkOutputFiles(file *strictyaml.Checker, c config) {
	if c.Audit.isFile() {
		output := namedFile{strictyaml.Path{"audit", "output"}, file.ResolvePath(c.Audit.Output)}
		requireApartFrom(file, output, c.readFiles(file))
	}
}

// checkSeedFiles is [checkOutputFiles] for seeds, which are in the trust section.
func checkSeedFiles(file *strictyaml.Checker, c config) {
	others := c.readFiles(file)
	if c.Audit.isFile() {
		others = append(others, namedFile{strictyaml.Path{"audit", "output"}, file.ResolvePath(c.Audit.Output)})
	}
	for i, entry := range c.Trust {
		if seed := entry.JWKS.Seed; seed != "" {
			requireApartFrom(file, namedFile{strictyaml.Path{"trust", i, "jwks", "seed"}, file.ResolvePath(seed)}, others)
		}
	}
}

func requireApartFrom(file *strictyaml.Checker, output namedFile, others []namedFile) {
	for _, other := range others {
		if isSameFile(output.path, other.path) {
			file.Reject(output.at, "%s is also %s, and writing would damage it: name another file", output.path, other.at)
			return
		}
	}
}

func isSameFile(one, other string) bool {
	if one == other {
		return true
	}
	a, err := os.Stat(one)
	if err != nil {
		return false
	}
	b, err := os.Stat(other)
	return err == nil && os.SameFile(a, b)
}

// readFiles are the files that the authorizer only reads, and the configuration itself.
func (c config) readFiles(file *strictyaml.Checker) []namedFile {
	all := []namedFile{{strictyaml.Path{"the configuration"}, file.File()}}
	add := func(name string, at ...any) {
		if name != "" {
			all = append(all, namedFile{at, file.ResolvePath(name)})
		}
	}
	for i, listener := range c.Listeners {
		add(listener.Services, "listeners", i, "services")
	}
	add(c.TLS.CertFile, "tls", "certFile")
	add(c.TLS.KeyFile, "tls", "keyFile")
	add(c.TLS.ClientCAFile, "tls", "clientCAFile")
	for i, entry := range c.Trust {
		add(entry.JWKS.File, "trust", i, "jwks", "file")
		add(entry.JWKS.CAFile, "trust", i, "jwks", "caFile")
	}
	add(c.Audit.Chain.Key, "audit", "chain", "key")
	add(c.Policies.Overrides, "policies", "overrides")
	add(c.Envoy.AllowedHeaders, "envoy", "allowedHeaders")
	add(c.Revocation.File, "revocation", "file")
	add(c.Revocation.Redis.PasswordFile, "revocation", "redis", "passwordFile")
	add(c.Revocation.Redis.CAFile, "revocation", "redis", "caFile")
	return all
}
