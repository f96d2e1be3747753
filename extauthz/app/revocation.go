package app

import (
	"errors"

	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/strictyaml"
)

// revocationConfig names the lists of what was withdrawn. Each adds to the
// others, and none can lift what another has.
type revocationConfig struct {
	File string `yaml:"file"`
}

// watchRevocations gives a checker that follows the lists as they change.
func (a *authorizer) watchRevocations(l *loader) (c revocation.Checker) {
	if file := l.revocationFile(); file != "" {
		a.revoked = watched(l, []string{file}, (*loader).revocations, a.revocationsChanged)
		c.Lists = append(c.Lists, a.revoked.Get)
	}
	return c
}

// revokedNow judges by the file as it is, and looks at it no more.
func (l *loader) revokedNow() (c revocation.Checker) {
	if l.revocationFile() != "" {
		list := l.revocations()
		c.Lists = append(c.Lists, func() *revocation.List { return list })
	}
	return c
}

func (l *loader) revocationFile() string {
	at := path{"revocation", "file"}
	if !l.doc.Has(at...) || !l.has(at, l.config.Revocation.File) {
		return ""
	}
	return l.resolve(l.config.Revocation.File)
}

func (l *loader) revocations() *revocation.List {
	file := l.resolve(l.config.Revocation.File)
	list, err := revocation.ReadFile(file)
	if problems, ok := errors.AsType[strictyaml.Problems](err); ok {
		l.problems = append(l.problems, problems.In(file)...)
	} else if err != nil {
		l.refuse(path{"revocation", "file"}, "%s: %s", file, err)
	}
	return list
}

func (a *authorizer) revocationsChanged(list *revocation.List, err error) {
	if !a.refused(revokedSource, err) {
		a.Log.Info("revocations reloaded", "entries", list.Len(), "serial", list.Serial())
	}
}

// revocationLists are the lists as metrics name them.
func (s sources) revocationLists() map[string]func() *revocation.List {
	lists := map[string]func() *revocation.List{}
	if s.revoked != nil {
		lists["file"] = s.revoked.Get
	}
	return lists
}
