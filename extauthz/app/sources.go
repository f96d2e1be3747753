package app

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/meshpass/meshpass/extauthz/ops"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/reload"
	"github.com/meshpass/meshpass/shared/strictyaml"
	"github.com/meshpass/meshpass/shared/token"
)

// What is made of files that may change while we run. Each is swapped as a
// whole, and stays as it is while what the files hold cannot be used.
type sources struct {
	verifier *reload.Value[*token.Verifier]
	policies *reload.Value[*policy.Set]
}

// Names of the sources in logs, readiness and metrics.
const (
	jwksSource     = "jwks"
	policiesSource = "policies"
)

// defaultPoll is how often the files are looked at.
const defaultPoll = time.Second

func (s sources) named() ops.Sources {
	return ops.Sources{jwksSource: s.verifier, policiesSource: s.policies}
}

// watched makes a value from the files now, and whenever their content changes.
// The problems of now join the loader's own.
func watched[T any](l *loader, files []string, read func(*loader) T, report func(T, error)) *reload.Value[T] {
	value, err := reload.New(files, func() (T, error) {
		again := l.again()
		made := read(again)
		return made, again.problems.In(l.file).Err()
	}, report)
	if problems, ok := errors.AsType[strictyaml.Problems](err); ok {
		l.problems = append(l.problems, problems...)
	} else if err != nil {
		l.problems = append(l.problems, strictyaml.Problem{File: l.file, Message: err.Error()})
	}
	return value
}

// watch looks at the files until the returned function is called.
func (s sources) watch(every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	loops.Go(func() { s.verifier.Run(ctx, every) })
	loops.Go(func() { s.policies.Run(ctx, every) })
	return func() { cancel(); loops.Wait() }
}

func (a *authorizer) verifierChanged(_ *token.Verifier, err error) {
	if !a.refused(jwksSource, err) {
		a.Log.Info("keys reloaded")
	}
}

func (a *authorizer) policiesChanged(set *policy.Set, err error) {
	if !a.refused(policiesSource, err) {
		a.Log.Info("policies reloaded", "policies", set.Len(), "generation", set.Generation())
	}
}

// refused tells of a change that cannot be used. It is called once for each.
func (a *authorizer) refused(source string, err error) bool {
	if err == nil {
		return false
	}
	a.metrics.ChangeRefused(source)
	a.Log.Error("change refused, the last good state stays in force",
		"source", source, "problems", strings.Split(err.Error(), "\n"))
	return true
}
