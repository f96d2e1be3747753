package app

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/meshpass/meshpass/extauthz/ops"
	"github.com/meshpass/meshpass/extauthz/redislist"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/strictyaml"
)

// revocationConfig names the lists of what was withdrawn. Each adds to the other,
// and neither can lift what the other has.
type revocationConfig struct {
	File     string        `yaml:"file"`
	Redis    redisConfig   `yaml:"redis"`
	MaxStale time.Duration `yaml:"maxStale"` // how long the list in Redis may not be read
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
	if file := l.revocationFile(); file != "" {
		a.revoked = watched(l, []string{file}, (*loader).revocations, a.revocationsChanged(revokedSource))
		c.Lists = append(c.Lists, a.revoked.Get)
	}
	if a.inRedis = a.followRedis(l); a.inRedis != nil {
		c.Lists = append(c.Lists, a.inRedis.Get)
		if maxStale := l.config.Revocation.MaxStale; l.config.Revocation.OnStale == "deny" {
			c.Stale = func(now time.Time) bool { return a.inRedis.Age(now) > maxStale }
		}
	}
	return c
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
			*into = l.resolve(from)
		}
	}
	list, err := redislist.Follow(context.Background(), config, a.Now, a.revocationsChanged(redisSource))
	if err != nil {
		l.refuse(path{"revocation", "redis"}, "%s", err)
	}
	return list
}

// checkRedis reports whether Redis is configured, and well.
func (l *loader) checkRedis() bool {
	c, at, before := &l.config.Revocation, path{"revocation"}, len(l.problems)
	if !l.doc.Has("revocation", "redis") {
		for _, name := range []string{"maxStale", "onStale"} {
			if l.doc.Has("revocation", name) {
				l.refuse(at.with(name), "is for revocation.redis, which is not there")
			}
		}
		return false
	}
	if !l.doc.Has("revocation", "maxStale") {
		c.MaxStale = defaultRevocationsMaxStale
	}
	if !l.doc.Has("revocation", "onStale") {
		c.OnStale = "allow"
	}
	if !l.doc.Has("revocation", "redis", "key") {
		c.Redis.Key = redislist.DefaultKey
	}
	l.checkDuration(at.with("maxStale"), c.MaxStale, leastMaxStale, mostMaxStale)
	l.isOneOf(at.with("onStale"), c.OnStale, "allow", "deny")
	if c.Redis.Key == "" {
		l.refuse(at.with("redis", "key"), "empty")
	}
	if _, port, err := net.SplitHostPort(c.Redis.Address); l.has(at.with("redis", "address"), c.Redis.Address) && (err != nil || port == "") {
		l.refuse(at.with("redis", "address"), "%q is no address: write HOST:PORT", c.Redis.Address)
	}
	return len(l.decoding) == 0 && len(l.problems) == before
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

func (a *authorizer) revocationsChanged(source string) func(*revocation.List, error) {
	return func(list *revocation.List, err error) {
		if !a.refused(source, err) {
			a.Log.Info("revocations reloaded", "source", source, "entries", list.Len(), "serial", list.Serial())
		}
	}
}

// revocationLists are the lists as metrics name them.
func (s sources) revocationLists() map[string]ops.Revocations {
	lists := map[string]ops.Revocations{}
	if s.revoked != nil {
		lists["file"] = ops.Revocations{List: s.revoked.Get}
	}
	if s.inRedis != nil {
		lists["redis"] = ops.Revocations{List: s.inRedis.Get, Age: s.inRedis.Age}
	}
	return lists
}
