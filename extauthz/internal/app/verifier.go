package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// NewVerifier returns the verifier that `meshpass serve` would use with this configuration file
// now. Only the sections that it is made of are checked. Key sets at URLs are fetched
// once; if one cannot be fetched, the reason is logged.
func NewVerifier(file string, now func() time.Time, log *slog.Logger) (*token.Verifier, error) {
	f, err := readConfig(file)
	if err != nil {
		return nil, err
	}
	c := f.config
	c.Limits.check(f.check)
	c.Cache.check(f.check)
	c.TrustDomains.check(f.check)
	domains := c.TrustDomains.parsedDomains()
	issuers := readTrust(f.check, c.Trust, domains, c.Insecure, nil)
	var revoked revocation.Checker
	if c.Revocation.checkFile(f.check) {
		list, err := readRevocations(f.check.ResolvePath(c.Revocation.File), now())
		f.check.RejectError(atRevocations.With("file"), err)
		revoked.Lists = append(revoked.Lists, func() *revocation.List { return list })
	}
	if err := f.check.Err(); err != nil {
		return nil, err
	}
	for _, entry := range issuers.entries {
		if entry.Remote != nil {
			entry.Remote.Seed = "" // only the running authorizer writes it
		}
	}
	registry := newRegistry(c, domains, revoked, Process{Now: now, Log: log})
	defer registry.Close()
	if err := registry.Apply(context.Background(), issuers.entries); err != nil {
		return nil, err
	}
	return registry.Verifier(), nil
}

// IssuersOf lists the issuers that a configuration names: those that an authorizer trusts,
// or the one for which a plugin signs. Nothing else of the file is checked.
func IssuersOf(file string) ([]string, error) {
	data, err := readfile.Read(file, MaxConfigBytes)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	doc, err := strictyaml.Parse(data)
	if err != nil {
		return nil, strictyaml.InFile(file, err)
	}
	var c struct {
		Issuer string `yaml:"issuer"`
		Trust  []struct {
			Issuer string `yaml:"issuer"`
		} `yaml:"trust"`
	}
	_ = doc.Decode(&c) // the other sections are unknown here, and checked elsewhere
	all := []string{}
	if c.Issuer != "" {
		all = append(all, c.Issuer)
	}
	for _, t := range c.Trust {
		if t.Issuer != "" {
			all = append(all, t.Issuer)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("configuration %s: it names no issuer: want the authorizer's file, with trust, or the plugin's, with issuer", file)
	}
	return all, nil
}
