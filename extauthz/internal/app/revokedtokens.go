package app

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/ops"
	"github.com/meshpass/meshpass/extauthz/internal/revocation/redislist"
	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/internal/logonce"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/revocation"
)

// revokedTokens follows the lists of revocations.
type revokedTokens struct {
	now     func() time.Time
	changes *changeLog
	issuers func() []string // trusted now; nil result: not known yet

	file     *fileList       // nil: not configured
	redis    *redislist.List // nil: not configured
	warnings logonce.Messages
}

// fileList is the list in the file, with its history and age.
type fileList struct {
	*reload.Value[*revocation.List]
	history  revocation.History
	source   ops.Source
	rejected atomic.Pointer[time.Time] // since when the file holds another list, which is rejected; nil: it does not
}

// age is how long the active list has not been the one in the file, or, if reading the file hangs,
// for how long that is unknown.
func (f *fileList) age(now time.Time) (age time.Duration) {
	if since := f.rejected.Load(); since != nil {
		age = now.Sub(*since)
	}
	if wall := time.Now(); ops.Hangs(f.source, wall) { // looks are timed by it
		age = max(age, wall.Sub(f.source.Looked()))
	}
	return age
}

// loadFile loads the list in the file, if one is configured.
func (r *revokedTokens) loadFile(file *strictyaml.Checker, c revocationConfig) {
	if c.File == "" {
		return
	}
	path := file.ResolvePath(c.File)
	read := func() (*revocation.List, error) { return readRevocations(path, r.now()) }
	r.file = &fileList{}
	r.file.Value = follow(file, atRevocations.With("file"), reload.Files(path), read, r.fileChanged)
	r.file.source = r.file.Value
	if list := r.file.Get(); list != nil { // else the start fails
		r.file.history.Observe(list, r.now())
	}
}

// openRedis reads the files of the connection, if Redis is configured without a mistake. It does not
// connect.
func (r *revokedTokens) openRedis(file *strictyaml.Checker, c redisConfig, insecure insecureConfig) {
	if !file.Has(atRedis) || file.ErrOfShape() != nil || c.Key == "" || c.checkAddress(insecure) != nil {
		return
	}
	list, err := redislist.New(c.connectionConfig(file), r.now, r.redisChanged)
	if err != nil {
		file.RejectError(atRedis, err)
		return
	}
	r.redis = list
}

// askRedis reads the list in Redis. The authorizer starts without an answer of Redis too: then onStale
// decides, and the fault is logged as a later one is.
func (r *revokedTokens) askRedis(file *strictyaml.Checker) {
	if r.redis != nil {
		file.RejectError(atRedis, r.redis.ReadFirst(context.Background()))
	}
}

// closeRedis is for a list that is not followed.
func (r *revokedTokens) closeRedis() {
	if r.redis != nil {
		_ = r.redis.Close() // nothing waits for it
	}
}

// checker returns the lists for a verifier.
func (r *revokedTokens) checker(c revocationConfig) (checker revocation.Checker) {
	if r.file != nil {
		checker.Lists = append(checker.Lists, r.file.Get)
	}
	if r.redis != nil {
		checker.Lists = append(checker.Lists, r.redis.Get)
	}
	if c.OnStale == onStaleDeny {
		checker.Stale = func(now time.Time) bool {
			return r.file != nil && r.file.age(now) > c.MaxStale || r.redis != nil && r.redis.Age(now) > c.MaxStale
		}
	}
	return checker
}

func (r *revokedTokens) fileChanged(list *revocation.List, err error) {
	now := r.now()
	if err != nil {
		r.file.rejected.CompareAndSwap(nil, &now)
		r.changes.logRejected(revocationsSource, err)
		return
	}
	r.file.rejected.Store(nil)
	r.file.history.Observe(list, now)
	r.logReloaded(revocationsSource, list, &r.file.history)
}

func (r *revokedTokens) redisChanged(list *revocation.List, err error) {
	if err != nil {
		r.changes.logRejected(redisSource, err)
		return
	}
	r.logReloaded(redisSource, list, r.redis.History())
}

func (r *revokedTokens) logReloaded(source string, list *revocation.List, history *revocation.History) {
	r.changes.log.Info("revocations reloaded", "source", source, "entries", list.Len(), "serial", list.Serial())
	for _, alarm := range history.Alarms(r.now()) {
		r.changes.log.Error("revocations: "+alarm, "source", source)
	}
	r.warnUnknownIssuers()
}

// warnUnknownIssuers warns of entries without effect, once for each set of issuers.
func (r *revokedTokens) warnUnknownIssuers() {
	issuers := r.issuers()
	if issuers == nil {
		return // the start warns when it is known which issuers are trusted
	}
	for name, list := range r.lists() {
		unknown, _ := list.List().UnknownIssuers(issuers)
		if r.warnings.IsNew(name, strings.Join(unknown, "\n")) {
			r.unknownIssuers(name, list.List(), issuers).log(r.changes.log)
		}
	}
}

// unknownIssuers warns of entries of issuers that are not trusted.
func (r *revokedTokens) unknownIssuers(name string, list *revocation.List, issuers []string) warnings {
	unknown, entries := list.UnknownIssuers(issuers)
	if len(unknown) == 0 {
		return nil
	}
	return warnings{newWarning(atRevocations.With(name), "revocations of issuers that are not trusted refuse nothing here",
		"source", name, "issuers", firstNames(unknown), "entries", entries)}
}

// firstNames bounds what a log line or a status names.
func firstNames(names []string) []string { return names[:min(len(names), 10)] }

// lists are the lists as metrics name them.
func (r *revokedTokens) lists() map[string]ops.Revocations {
	lists := map[string]ops.Revocations{}
	if r.file != nil {
		lists["file"] = ops.Revocations{List: r.file.Get, Age: r.file.age, History: &r.file.history}
	}
	if r.redis != nil {
		lists["redis"] = ops.Revocations{List: r.redis.Get, Age: r.redis.Age, History: r.redis.History()}
	}
	return lists
}

func (r *revokedTokens) status() (all []status.Revocations) {
	lists, now := r.lists(), r.now()
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		list := lists[name].List()
		unknown, entries := list.UnknownIssuers(r.issuers())
		all = append(all, status.Revocations{
			Source: name, Serial: list.Serial(), Entries: list.Len(), Age: lists[name].Age(now).Seconds(),
			Alarms: lists[name].History.Alarms(now), Unknown: firstNames(unknown), UnknownEntries: entries,
		})
	}
	return all
}

// notes are lines of /readyz.
func (r *revokedTokens) notes() (all []string) {
	for _, list := range r.status() {
		all = append(all, list.Notes()...)
	}
	return all
}
