package app

import (
	"bytes"
	"context"
	"maps"
	"reflect"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/trust"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
)

// trustFollower follows the trust section of the configuration, and its key files on
// their own: a mistake anywhere in the configuration keeps no key from being withdrawn. A change of
// another section is logged, and waits for a restart.
type trustFollower struct {
	started  *configFile // the configuration of the start
	domains  identity.TrustDomains
	registry *trust.Registry
	changes  *changeLog
	applied  func([]trust.Entry) // called after a change has become active

	section *reload.Value[trustSection]
	issuers *reload.Value[trustedIssuers]
}

// trustSection is a configuration whose whole trust section can be used.
type trustSection struct {
	file   *configFile
	keys   map[string]*keyset.PublicKeys // of the key files when the section was accepted, by path
	misfit error                         // why a restart would reject the file; see checkTrustWithRest
}

// sectionSource is not up to date while a restart could not use the file.
type sectionSource struct{ *reload.Value[trustSection] }

func (s sectionSource) Err() error {
	if err := s.Value.Err(); err != nil {
		return err
	}
	return s.Get().misfit
}

// loadSection loads the section and its key files.
func (f *trustFollower) loadSection(file *strictyaml.Checker) {
	at := strictyaml.Path{"trust"}
	f.issuers = reload.Pending(f.keyFiles, f.readIssuers, f.issuersChanged)
	f.section = reload.Pending(func() []reload.Input { return reload.Files(file.File()) }, f.readSection, f.sectionChanged)
	if err := f.section.LoadFirst(); err != nil {
		file.RejectError(at, err)
		return
	}
	file.RejectError(at, f.issuers.LoadFirst())
}

func (f *trustFollower) readSection() (trustSection, error) {
	file, err := f.started.withTrustOfNow()
	if err != nil {
		return trustSection{}, err
	}
	check := file.check.WithoutProblems()
	read := readTrust(check, file.config.Trust, f.domains, file.config.Insecure, f.issuers.Get().keys)
	checkSeedFiles(check, file.written)
	if err := check.ErrOfValues(); err != nil {
		return trustSection{}, err
	}
	rest := file.check.WithoutProblems()
	checkTrustWithRest(rest, file.written)
	return trustSection{file, read.keys, rest.ErrOfValues()}, f.registry.CheckConflicts(read.entries)
}

func (f *trustFollower) sectionChanged(latest trustSection, err error) {
	if err != nil {
		f.changes.logRejected(configSource, err)
		return
	}
	f.changes.log.Info("configuration reloaded", "file", latest.file.check.File())
	if latest.misfit != nil {
		f.changes.log.Error("trust is reloaded, but a restart would reject the file", "problems", strings.Split(latest.misfit.Error(), "\n"))
	}
	if waiting := f.started.otherChanges(latest.file); len(waiting) > 0 {
		f.changes.log.Warn("the configuration has changed in more than trust: a restart is needed for the rest", "sections", waiting)
	}
	f.issuers.LoadAgain()
}

func (f *trustFollower) keyFiles() []reload.Input {
	file := f.section.Get().file
	return reload.Files(keyFiles(file.check, file.config.Trust)...)
}

// readIssuers reads the key files. For a file that broke since the section was accepted, it uses the
// keys of that moment: a file that a changed section names for the first time may break before it
// is read again.
func (f *trustFollower) readIssuers() (trustedIssuers, error) {
	section := f.section.Get()
	last := maps.Clone(section.keys)
	maps.Copy(last, f.issuers.Get().keys)
	check := section.file.check.WithoutProblems()
	read := readTrust(check, section.file.config.Trust, f.domains, section.file.config.Insecure, last)
	if err := check.ErrOfValues(); err != nil {
		return read, err
	}
	read.keepLastKeys(check, section.file.config.Trust, last, f.registry.CheckConflicts)
	read.rememberKeys(check, section.file.config.Trust)
	return read, f.registry.CheckConflicts(read.entries)
}

func (f *trustFollower) issuersChanged(now trustedIssuers, err error) {
	if err == nil {
		err = f.registry.Apply(context.Background(), now.entries)
	}
	if err != nil {
		f.changes.logRejected(jwksSource, err)
		return
	}
	f.applied(now.entries)
	var issuers []string
	for _, entry := range now.entries {
		issuers = append(issuers, entry.Trust.Issuer)
	}
	f.changes.log.Info("keys reloaded", "issuers", issuers)
	if err := now.faults.Err(); err != nil {
		f.changes.logRejected(jwksSource, err)
	}
}

// issuersSource is not up to date while a key file cannot be used, even if all
// others are active.
type issuersSource struct{ *reload.Value[trustedIssuers] }

func (s issuersSource) Err() error {
	if err := s.Value.Err(); err != nil {
		return err
	}
	return s.Get().faults.Err()
}

// withTrustOfNow is the started configuration with the trust section that the file has
// now. A file with a wrong shape in any part is rejected as a whole: a
// restart could not use it.
func (f *configFile) withTrustOfNow() (*configFile, error) {
	latest, err := parseConfig(f.check.File(), f.read)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(latest.data, f.data) {
		return f, nil
	}
	if err := latest.check.ErrOfShape(); err != nil {
		return nil, err
	}
	section := latest.config.Trust
	latest.config = f.config
	latest.config.Trust = section
	return latest, nil
}

// otherChanges names the sections, besides trust, that differ between two readings.
func (f *configFile) otherChanges(latest *configFile) (sections []string) {
	before, after := reflect.ValueOf(f.written), reflect.ValueOf(latest.written)
	for i := range before.NumField() {
		section, _, _ := strings.Cut(before.Type().Field(i).Tag.Get("yaml"), ",")
		if section != "trust" && !reflect.DeepEqual(before.Field(i).Interface(), after.Field(i).Interface()) {
			sections = append(sections, section)
		}
	}
	return sections
}
