package app

import (
	"maps"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/ops"
	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/shared/policy"
)

// report is what we say of ourselves, made anew whenever somebody asks.
func (s *service) report() status.Report {
	named := s.named()
	var all []status.Source
	for _, name := range slices.Sorted(maps.Keys(named)) {
		source := status.Source{Name: name, Since: named[name].Since(), Looked: named[name].Looked()}
		if err := named[name].Err(); err != nil {
			source.Problems = strings.Split(err.Error(), "\n")
		}
		if ops.Hangs(named[name], s.Now()) {
			source.Problems = append(source.Problems, ops.HangsMessage)
		}
		all = append(all, source)
	}
	trail := s.auditStatus()
	return status.Report{State: s.ready.State(), Policies: s.policiesStatus(), Issuers: s.issuersStatus(), Sources: all, Revocations: s.revocationsStatus(), Audit: &trail}
}

func (a *authorizer) issuersStatus() []status.Issuer {
	var all []status.Issuer
	for _, i := range a.registry.Issuers() {
		issuer := status.Issuer{Name: i.Name, Keys: i.Keys, Skipped: i.Skipped, Fetched: i.Fetched, Until: i.Until}
		if i.Err != nil {
			issuer.Problem = i.Err.Error()
		}
		if i.Conflict != nil {
			issuer.Conflict = i.Conflict.Error()
		}
		all = append(all, issuer)
	}
	return all
}

func (a *authorizer) policiesStatus() status.Policies {
	set, loaded := a.inForce.Load(), a.documents.Get()
	p := status.Policies{Generation: set.Generation(), Wanted: *a.wanted.Load(), Documents: set.Len(), Unguarded: unguardedDeny}
	if a.unguarded == policy.Shadow {
		p.Unguarded = string(policy.Shadow)
	}
	for _, r := range loaded.Rejected {
		p.Rejected = append(p.Rejected, status.Rejected{Name: r.Name, Folder: r.Folder, File: r.File, Denied: r.Denied})
	}
	for _, o := range set.Overrides(a.Now()) {
		p.Overrides = append(p.Overrides, status.Override{Target: o.Target, Until: o.Until, By: o.By, Reason: o.Reason})
	}
	return p
}

func (a *authorizer) revocationsStatus() (all []status.Revocations) {
	lists, now := a.revocationLists(), a.Now()
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		list := lists[name].List()
		unknown, entries := list.UnknownIssuers(a.trusted())
		all = append(all, status.Revocations{
			Source: name, Serial: list.Serial(), Entries: list.Len(), Age: lists[name].Age(now).Seconds(),
			Alarms: lists[name].History.Alarms(now), Unknown: firstOf(unknown), UnknownEntries: entries,
		})
	}
	return all
}

// revocationNotes are lines of /readyz.
func (a *authorizer) revocationNotes() (all []string) {
	for _, r := range a.revocationsStatus() {
		all = append(all, r.Notes()...)
	}
	return all
}
