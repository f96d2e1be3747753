package app

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
)

// activePolicies follows the documents and the overrides, and makes the active set of both. Each of
// the two changes on its own, so that a mistake in one file keeps no change of the other from
// taking effect.
type activePolicies struct {
	domains   identity.TrustDomains
	unguarded policy.Mode // of workloads that no document targets
	strict    bool        // a problem of one document is a problem of the whole change
	now       func() time.Time
	changes   *changeLog

	documents      *reload.Value[policysource.Loaded]
	overrides      *reload.Value[[]policy.Override] // nil: no file of overrides is configured
	allowedHeaders *reload.Value[[]string]          // nil: sidecars send all headers
	noHome         atomic.Bool                      // no entry of trust is home

	combining sync.Mutex                 // one writer of set at a time
	set       atomic.Pointer[policy.Set] // active
	wanted    atomic.Pointer[string]     // generation of what the folders hold
}

// loadDocuments loads the folders. Of a document that is rejected, the version before stays
// active. That version is in the active set, not in what was loaded last, which may have been
// thrown away because the files changed while they were read.
func (p *activePolicies) loadDocuments(file *strictyaml.Checker, from folders) {
	loader := policysource.Loader{Domains: p.domains, Memory: new(policysource.Memory)}
	load := func() (policysource.Loaded, error) {
		loader.NoHomeIssuer, loader.AllowedHeaders = p.noHome.Load(), p.sentHeaders()
		loaded := p.loadEach(loader, from)
		p.wanted.Store(&loaded.Wanted)
		if !p.strict {
			return loaded, nil
		}
		if err := loaded.Problems.Err(); loaded.Unread() > 0 {
			return loaded, err
		}
		return loaded, reload.Final(loaded.Problems.Err())
	}
	p.documents = reload.Pending(from.inputs, load, p.documentsChanged)
	file.RejectError(strictyaml.Path{"policies"}, p.documents.LoadFirst())
}

// loadEach compiles the documents that follow the active ones, or the first ones.
func (p *activePolicies) loadEach(loader policysource.Loader, from folders) (loaded policysource.Loaded) {
	previous := p.documents.Get().Set
	load := func() { loaded = loader.LoadEach(previous, from.open()...) }
	if previous == nil {
		load()
	} else {
		collectEagerly(load)
	}
	return loaded
}

// loadOverrides loads the file of overrides, if one is configured.
func (p *activePolicies) loadOverrides(file *strictyaml.Checker, name string) {
	at := strictyaml.Path{"policies", "overrides"}
	if !file.Has(at) || !file.RequireText(at, name) {
		return
	}
	path := file.ResolvePath(name)
	read := func() ([]policy.Override, error) { return readOverrides(path, p.domains, p.now()) }
	p.overrides = follow(file, at, reload.Files(path), read, p.overridesChanged)
}

// maxOverridesBytes is far more than the file of overrides takes.
const maxOverridesBytes = 1 << 20

func readOverrides(path string, domains identity.TrustDomains, now time.Time) ([]policy.Override, error) {
	data, err := readfile.Read(path, maxOverridesBytes)
	if err != nil {
		return nil, err
	}
	overrides, err := policysource.ParseOverrides(data, domains, now)
	return overrides, strictyaml.InFile(path, err)
}

// combine makes documents and overrides active together.
func (p *activePolicies) combine() {
	p.combining.Lock()
	defer p.combining.Unlock()
	var overrides []policy.Override
	if p.overrides != nil {
		overrides = p.overrides.Get()
	}
	set := p.documents.Get().Set.With(p.unguarded, overrides)
	if p.noHome.Load() {
		set = set.WithoutOutage()
	}
	p.set.Store(set)
}

// homeChanged is called when the first home entry of trust comes or the last one goes. Documents
// that say onOutage: allow are checked again. Without a home entry they have no effect at once:
// a change of trust never waits for a document.
func (p *activePolicies) homeChanged(present bool) {
	if p.noHome.Swap(!present) == !present {
		return
	}
	p.combine()
	p.documents.LoadAgain()
}

func (p *activePolicies) documentsChanged(loaded policysource.Loaded, err error) {
	if err != nil {
		p.changes.logRejected(policiesSource, err)
		return
	}
	p.combine()
	defer collectReplaced()
	p.changes.log.Info("policies reloaded", "policies", loaded.Set.Len(), "generation", loaded.Set.Generation())
	if len(loaded.Problems) > 0 {
		p.logRejectedDocuments(loaded)
		p.changes.metrics.ChangeRejected(policiesSource)
	}
}

// logRejectedDocuments names the documents that cannot be used, and what is active instead.
func (p *activePolicies) logRejectedDocuments(loaded policysource.Loaded) {
	if len(loaded.Problems) == 0 {
		return
	}
	var kept, denied []string
	for _, r := range loaded.Rejected {
		name := loaded.Set.QualifiedName(r.Folder, r.Name)
		if r.Denied {
			denied = append(denied, name)
		} else {
			kept = append(kept, name)
		}
	}
	p.changes.log.Error("documents rejected, all others are active", "source", policiesSource,
		"last_good", kept, "targets_denied", denied, "wanted", loaded.Wanted,
		"problems", strings.Split(loaded.Problems.Error(), "\n"))
}

func (p *activePolicies) overridesChanged(_ []policy.Override, err error) {
	if err != nil {
		p.changes.logRejected(overridesSource, err)
		return
	}
	p.combine()
	p.changes.log.Info("overrides reloaded", "active", len(p.set.Load().Overrides(p.now())))
	p.logOverrides()
}

// logOverrides names who lifts what, and why, whenever that may have changed.
func (p *activePolicies) logOverrides() { p.activeOverrides().log(p.changes.log) }

// documentsSource is not up to date while any document is rejected, even if all
// others are active.
type documentsSource struct {
	*reload.Value[policysource.Loaded]
}

func (s documentsSource) Err() error {
	if err := s.Value.Err(); err != nil {
		return err
	}
	return s.Get().Problems.Err()
}

func (p *activePolicies) status() status.Policies {
	set := p.set.Load()
	report := status.Policies{Generation: set.Generation(), Wanted: *p.wanted.Load(), Documents: set.Len(), Unguarded: unguardedDeny}
	if p.unguarded == policy.Shadow {
		report.Unguarded = string(policy.Shadow)
	}
	loaded := p.documents.Get()
	for _, dir := range loaded.Dirs {
		report.Folders = append(report.Folders, status.Folder{Name: dir.Name, Path: dir.Path, Version: dir.Version})
	}
	for _, r := range loaded.Rejected {
		report.Rejected = append(report.Rejected, status.Rejected{Name: r.Name, Folder: r.Folder, File: r.File, Denied: r.Denied})
	}
	for _, o := range set.Overrides(p.now()) {
		report.Overrides = append(report.Overrides, status.Override{Target: o.Target, Until: o.Until, By: o.By, Reason: o.Reason})
	}
	return report
}
