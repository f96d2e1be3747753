package app

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/ops"
	"github.com/meshpass/meshpass/extauthz/internal/revocation/redislist"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/revocation"
)

// revocationConfig names the lists of what was withdrawn. Each adds to the other,
// and neither can lift what the other has.
type revocationConfig struct {
	File     string        `yaml:"file"`
	Redis    redisConfig   `yaml:"redis"`
	MaxStale time.Duration `yaml:"maxStale"` // how long a list may not be the one that its source holds
	OnStale  string        `yaml:"onStale"`  // what happens then: allow | deny
}

type redisConfig struct {
	Address      string `yaml:"address"`
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"passwordFile"`
	CAFile       string `yaml:"caFile"`
	Key          string `yaml:"key"`
}

const (
	defaultRevocationsMaxStale = 30 * time.Second
	leastMaxStale              = 5 * time.Second // a few polls
	mostMaxStale               = 24 * time.Hour
)

// watchRevocations gives a checker that follows the lists as they change.
func (a *authorizer) watchRevocations(l *loader) (c revocation.Checker) {
	l.checkStaleness()
	if file := l.revocationFile(); file != "" {
		a.inFile = &fileList{}
		read := func(l *loader) *revocation.List { return l.revocations(a.Now()) }
		a.revoked = watched(l, strictyaml.Path{"revocation", "file"}, reload.Files(file), read, a.fileChanged)
		c.Lists = append(c.Lists, a.revoked.Get)
		if a.revoked != nil {
			a.inFile.source = a.revoked
			a.inFile.History.Observe(a.revoked.Get(), a.Now())
		}
	}
	if a.inRedis = a.followRedis(l); a.inRedis != nil {
		c.Lists = append(c.Lists, a.inRedis.Get)
	}
	if maxStale := l.config.Revocation.MaxStale; l.config.Revocation.OnStale == "deny" {
		c.Stale = func(now time.Time) bool {
			return a.inFile != nil && a.inFile.age(now) > maxStale || a.inRedis != nil && a.inRedis.Age(now) > maxStale
		}
	}
	return c
}

// fileList is what is known of the list in the file besides its content.
type fileList struct {
	revocation.History
	source   ops.Source
	rejected atomic.Pointer[time.Time] // since when the file holds another list, which is rejected; nil: it does not
}

// age is how long the active list has not been the one in the file, or how long nobody
// knows: reading the file hangs.
func (f *fileList) age(now time.Time) (age time.Duration) {
	if since := f.rejected.Load(); since != nil {
		age = now.Sub(*since)
	}
	if wall := time.Now(); ops.Hangs(f.source, wall) { // looks are timed by it
		age = max(age, wall.Sub(f.source.Looked()))
	}
	return age
}

func (a *authorizer) fileChanged(list *revocation.List, err error) {
	now := a.Now()
	if err != nil {
		a.inFile.rejected.CompareAndSwap(nil, &now)
	} else {
		a.inFile.rejected.Store(nil)
		a.inFile.History.Observe(list, now)
	}
	a.revocationsChanged(revokedSource)(list, err)
}

// followRedis starts without Redis too: the file stands, onStale speaks, and what
// is wrong is told as it is later.
func (a *authorizer) followRedis(l *loader) *redislist.List {
	if !l.checkRedis() {
		return nil
	}
	r := l.config.Revocation.Redis
	config := redislist.Config{Address: r.Address, Username: r.Username, Key: r.Key}
	for from, into := range map[string]*string{r.PasswordFile: &config.PasswordFile, r.CAFile: &config.CAFile} {
		if from != "" {
			*into = l.check.ResolvePath(from)
		}
	}
	list, err := redislist.Follow(context.Background(), config, a.Now, a.revocationsChanged(redisSource))
	if err != nil {
		l.check.Reject(strictyaml.Path{"revocation", "redis"}, "%s", err)
	}
	return list
}

// checkStaleness also fills in the defaults. onStale is allow unless configured: with
// deny, a Redis that is away for maxStale takes every guarded workload down with it.
func (l *loader) checkStaleness() {
	c, at := &l.config.Revocation, strictyaml.Path{"revocation"}
	if !l.check.Has(strictyaml.Path{"revocation", "redis"}) && !l.check.Has(strictyaml.Path{"revocation", "file"}) {
		for _, name := range []string{"maxStale", "onStale"} {
			if l.check.Has(strictyaml.Path{"revocation", name}) {
				l.check.Reject(at.With(name), "is for revocation.redis and revocation.file, and neither is there")
			}
		}
		return
	}
	if !l.check.Has(strictyaml.Path{"revocation", "maxStale"}) {
		c.MaxStale = defaultRevocationsMaxStale
	}
	if !l.check.Has(strictyaml.Path{"revocation", "onStale"}) {
		c.OnStale = "allow"
	}
	strictyaml.RequireRange(l.check, at.With("maxStale"), c.MaxStale, leastMaxStale, mostMaxStale)
	l.check.RequireOneOf(at.With("onStale"), c.OnStale, "allow", "deny")
}

// checkRedis reports whether Redis is configured, and well.
func (l *loader) checkRedis() bool {
	c, at := &l.config.Revocation.Redis, strictyaml.Path{"revocation", "redis"}
	if !l.check.Has(at) {
		return false
	}
	if !l.check.Has(at.With("key")) {
		c.Key = redislist.DefaultKey
	}
	usable := l.check.RequireText(at.With("key"), c.Key)
	if !l.check.RequireText(at.With("address"), c.Address) {
		return false
	}
	redis := redislist.Config{Address: c.Address, CAFile: c.CAFile}
	if err := redis.CheckAddress(); err != nil {
		l.check.Reject(at.With("address"), "%s", err)
		return false
	}
	if err := redis.CheckTLS(); err != nil && !l.config.Insecure.RedisWithoutTLS {
		l.check.Reject(at.With("address"), "%s; name caFile, or admit it with insecure.redisWithoutTLS", err)
		return false
	}
	return usable && l.check.ErrOfShape() == nil
}

// revokedNow judges by the file as it is, and looks at it no more.
func (l *loader) revokedNow(now time.Time) (c revocation.Checker) {
	if l.revocationFile() != "" {
		list := l.revocations(now)
		c.Lists = append(c.Lists, func() *revocation.List { return list })
	}
	return c
}

func (l *loader) revocationFile() string {
	at := strictyaml.Path{"revocation", "file"}
	if !l.check.Has(at) || !l.check.RequireText(at, l.config.Revocation.File) {
		return ""
	}
	return l.check.ResolvePath(l.config.Revocation.File)
}

// revocations reads the file. A list that is from the future is not taken: every later
// one would count as older.
func (l *loader) revocations(now time.Time) *revocation.List {
	file := l.check.ResolvePath(l.config.Revocation.File)
	list, err := revocation.ReadFile(file)
	if err == nil {
		err = list.CheckSerial(now)
	}
	l.check.RejectFile(strictyaml.Path{"revocation", "file"}, file, err)
	return list
}

func (a *authorizer) revocationsChanged(source string) func(*revocation.List, error) {
	return func(list *revocation.List, err error) {
		if a.refused(source, err) {
			return
		}
		a.Log.Info("revocations reloaded", "source", source, "entries", list.Len(), "serial", list.Serial())
		for name, r := range a.revocationLists() {
			if name != listNames[source] {
				continue
			}
			for _, alarm := range r.History.Alarms(a.Now()) {
				a.Log.Error("revocations: "+alarm, "source", source)
			}
		}
		a.warnUnknownIssuers()
	}
}

// listNames are those of metrics, by source.
var listNames = map[string]string{revokedSource: "file", redisSource: "redis"}

// warnUnknownIssuers warns of entries that refuse nothing, once for each set of issuers.
func (a *authorizer) warnUnknownIssuers() {
	if a.registry == nil || a.registry.Verifier() == nil {
		return // the start asks again when it is known who is trusted
	}
	for name, r := range a.revocationLists() {
		unknown, entries := r.List().UnknownIssuers(a.trusted())
		said := strings.Join(unknown, "\n")
		if before, _ := a.unknown.Swap(name, said); said == "" || said == before {
			continue
		}
		a.Log.Warn("revocations of issuers that are not trusted refuse nothing here", "source", name, "issuers", firstOf(unknown), "entries", entries)
	}
}

// firstOf bounds what a log line or a status names.
func firstOf(names []string) []string { return names[:min(len(names), 10)] }

// trusted are the issuers that are trusted now.
func (a *authorizer) trusted() (all []string) {
	for _, i := range a.registry.Issuers() {
		all = append(all, i.Name)
	}
	return all
}

// revocationLists are the lists as metrics name them.
func (s sources) revocationLists() map[string]ops.Revocations {
	lists := map[string]ops.Revocations{}
	if s.revoked != nil {
		lists["file"] = ops.Revocations{List: s.revoked.Get, Age: s.inFile.age, History: &s.inFile.History}
	}
	if s.inRedis != nil {
		lists["redis"] = ops.Revocations{List: s.inRedis.Get, Age: s.inRedis.Age, History: s.inRedis.History()}
	}
	return lists
}
