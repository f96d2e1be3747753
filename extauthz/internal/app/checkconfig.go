package app

import (
	"io"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// ConfigKeys are the keys of the configuration, without those below them.
func ConfigKeys() []string { return strictyaml.KeysOf(reflect.TypeFor[config]()) }

// CheckOptions are what a check cannot read from the configuration.
type CheckOptions struct {
	Strict bool          // as of [Process]
	Memory bytesize.Size // of the garbage collector, see [Process]; 0: unknown
	Now    func() time.Time
}

// CheckConfig finds what [Run] would reject in a configuration and in all files that it names. It takes
// the steps of Run up to the first one with an effect: it opens no address and no connection, and writes
// nothing. The name is for messages, and relative paths start from its folder.
func CheckConfig(name string, data []byte, o CheckOptions) strictyaml.Findings {
	file, err := parseConfig(name, func() ([]byte, error) { return data, nil })
	if err != nil {
		return strictyaml.Findings{Problems: strictyaml.AsProblems(err)}
	}
	p := Process{ConfigFile: name, Strict: o.Strict, Stdout: io.Discard, Log: slog.New(slog.DiscardHandler), Now: o.Now}
	a := loadConfigured(p, file)
	defer a.registry.Close()
	defer a.revoked.closeRedis()
	closeTracer(file.config.Tracing.newTracer(file.check, p.Log), p.Log) // it has not connected
	var dropped map[string][]string
	if file.check.Err() == nil {
		dropped, err = a.registry.Check(a.trust.issuers.Get().entries)
		file.check.RejectError(strictyaml.Path{"trust"}, err)
	}
	found := strictyaml.Findings{Problems: strictyaml.AsProblems(file.check.Err()), NotChecked: listUnchecked(file, o)}
	if len(found.Problems) > 0 {
		return found // warnings would be guesses
	}
	a.policies.combine()
	for _, w := range append(a.findWarnings(o.memoryLimit()), a.findFileWarnings(dropped)...) {
		found.Warnings = append(found.Warnings, w.place(file.check))
	}
	found.Warnings = append(found.Warnings, a.policies.documents.Get().Warnings()...)
	return found
}

func (o CheckOptions) memoryLimit() int64 {
	if o.Memory == 0 {
		return math.MaxInt64
	}
	return int64(o.Memory)
}

// findFileWarnings are warnings of what the files hold. The start logs them one by one, as each file is
// loaded.
func (a *authorizer) findFileWarnings(dropped map[string][]string) warnings {
	entries := a.trust.issuers.Get().entries
	all := append(droppedKeys(entries, dropped), a.policies.activeOverrides()...)
	if a.revoked.file == nil {
		return all
	}
	issuers := []string{}
	for _, e := range entries {
		issuers = append(issuers, e.Trust.Issuer)
	}
	return append(all, a.revoked.unknownIssuers("file", a.revoked.file.Get(), issuers)...)
}

// listUnchecked lists what only a start can show.
func listUnchecked(file *configFile, o CheckOptions) (all strictyaml.Problems) {
	add := func(at strictyaml.Path, message string) {
		if file.check.Has(at) {
			all = append(all, file.check.ProblemAt(at, "%s", message))
		}
	}
	add(strictyaml.Path{"listeners"}, "whether their addresses are free on the authorizer's machine")
	for i := range file.config.Trust {
		add(strictyaml.Path{"trust", i, "jwks", "url"}, "whether the key set can be fetched and is valid")
	}
	add(strictyaml.Path{"envoy", "allowedHeaders"}, "whether the mesh has exactly this EnvoyFilter")
	add(atRedis, "whether Redis answers, and with a valid list")
	if file.config.Audit.isPipe(file.check) {
		add(strictyaml.Path{"audit", "output"}, "whether the named pipe has a reader, which must be there first")
	}
	if o.Memory == 0 {
		all = append(all, file.check.ProblemAt(strictyaml.Path{"limits"}, "whether they fit into the memory of the container: name it with --memory"))
	}
	return all
}

// CheckShape reports keys that a configuration may not have, and values of other kinds, without reading the files that it names.
func CheckShape(lookup strictyaml.Lookup, name string, data []byte) error {
	f, err := parseConfigWith(lookup, name, data, nil)
	if err != nil {
		return err
	}
	return f.check.ErrOfShape()
}

// CheckValues reports values that a start rejects without a look at the files that a configuration names. It takes values of environment
// variables for right.
func CheckValues(name string, data []byte) error {
	f, err := parseConfigWith(strictyaml.AnyVariable, name, data, nil)
	if err != nil {
		return err
	}
	domains := checkValues(f).domains
	parseTrust(f.check, f.config.Trust, domains, f.config.Insecure)
	f.config.Policies.checkFolders(f.check, domains)
	return slices.DeleteFunc(strictyaml.AsProblems(strictyaml.WithoutVariables(data, f.check.Err())), func(p strictyaml.Problem) bool {
		return strings.HasSuffix(p.Key, ".jwks.seed") || strings.HasSuffix(p.Key, ".jwks.caFile") // on the authorizer's machine
	}).Err()
}
