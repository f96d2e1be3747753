package app

import (
	"fmt"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/revocation/redislist"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/revocation"
)

// revocationConfig names the lists of revocations. Each adds to the other,
// and neither can lift a revocation of the other.
type revocationConfig struct {
	File     string        `yaml:"file" env:"expand"`
	Redis    redisConfig   `yaml:"redis"`
	MaxStale time.Duration `yaml:"maxStale"` // how long a list may differ from its source
	OnStale  string        `yaml:"onStale"`  // the answer after that: allow | deny
}

type redisConfig struct {
	Address      string `yaml:"address" env:"expand"`
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"passwordFile" env:"expand"`
	CAFile       string `yaml:"caFile" env:"expand"`
	Key          string `yaml:"key"`
}

const (
	defaultRevocationsMaxStale = 30 * time.Second
	leastMaxStale              = 5 * time.Second // a few polls
	mostMaxStale               = 24 * time.Hour

	onStaleAllow = "allow"
	onStaleDeny  = "deny"
)

var (
	atRevocations = strictyaml.Path{"revocation"}
	atRedis       = strictyaml.Path{"revocation", "redis"}
)

// setDefaults: onStale is allow unless configured. With deny, a Redis that is away for maxStale
// takes every guarded workload down with it.
func (c *revocationConfig) setDefaults(file *strictyaml.Checker) {
	if !c.isPresent(file) {
		return
	}
	if !file.Has(atRevocations.With("maxStale")) {
		c.MaxStale = defaultRevocationsMaxStale
	}
	if !file.Has(atRevocations.With("onStale")) {
		c.OnStale = onStaleAllow
	}
	if file.Has(atRedis) && !file.Has(atRedis.With("key")) {
		c.Redis.Key = redislist.DefaultKey
	}
}

func (c revocationConfig) isPresent(file *strictyaml.Checker) bool {
	return file.Has(atRedis) || file.Has(atRevocations.With("file"))
}

func (c revocationConfig) check(file *strictyaml.Checker, insecure insecureConfig) {
	if !c.isPresent(file) {
		for _, name := range []string{"maxStale", "onStale"} {
			file.RejectIfPresent(atRevocations.With(name), "is for revocation.redis and revocation.file, and neither is there")
		}
		if !file.Has(atRevocations.With("maxStale")) && !file.Has(atRevocations.With("onStale")) {
			file.RejectIfPresent(atRevocations, "names no list: write file or redis, or remove the section")
		}
		return
	}
	strictyaml.RequireRange(file, atRevocations.With("maxStale"), c.MaxStale, leastMaxStale, mostMaxStale)
	file.RequireOneOf(atRevocations.With("onStale"), c.OnStale, onStaleAllow, onStaleDeny)
	c.checkFile(file)
	if file.Has(atRedis) {
		c.Redis.check(file, insecure)
	}
}

// checkFile reports whether a file is configured.
func (c revocationConfig) checkFile(file *strictyaml.Checker) bool {
	at := atRevocations.With("file")
	return file.Has(at) && file.RequireText(at, c.File)
}

func (c redisConfig) check(file *strictyaml.Checker, insecure insecureConfig) {
	file.RequireText(atRedis.With("key"), c.Key)
	if at := atRedis.With("address"); file.RequireText(at, c.Address) {
		file.RejectError(at, c.checkAddress(insecure))
	}
	file.RequireTextIfPresent(atRedis.With("passwordFile"), c.PasswordFile)
	file.RequireTextIfPresent(atRedis.With("caFile"), c.CAFile)
	if at := atRedis.With("username"); file.RequireTextIfPresent(at, c.Username) && !file.Has(atRedis.With("passwordFile")) {
		file.RejectIfPresent(at, "is not used without a password: name passwordFile too, or remove it")
	}
	if c.client().IsSocket() {
		file.RejectIfPresent(atRedis.With("caFile"), "a socket of this machine has no TLS: remove it")
	}
}

func (c redisConfig) checkAddress(insecure insecureConfig) error {
	redis := c.client()
	if err := redis.CheckAddress(); err != nil {
		return err
	}
	if err := redis.CheckTLS(); err != nil && !insecure.RedisWithoutTLS {
		return fmt.Errorf("%w; name caFile, or allow it with insecure.redisWithoutTLS", err)
	}
	return nil
}

// client has the fields that say how the connection is protected.
func (c redisConfig) client() redislist.Config {
	return redislist.Config{Address: c.Address, CAFile: c.CAFile}
}

// connectionConfig is how Redis is reached. The two files may be one.
func (c redisConfig) connectionConfig(file *strictyaml.Checker) redislist.Config {
	connection := redislist.Config{Address: c.Address, Username: c.Username, Key: c.Key}
	if c.PasswordFile != "" {
		connection.PasswordFile = file.ResolvePath(c.PasswordFile)
	}
	if c.CAFile != "" {
		connection.CAFile = file.ResolvePath(c.CAFile)
	}
	return connection
}

// readRevocations rejects a list that is from the future: every later one would count as older.
func readRevocations(path string, now time.Time) (*revocation.List, error) {
	list, err := revocation.ReadFile(path)
	if err == nil {
		err = list.CheckSerial(now)
	}
	return list, strictyaml.InFile(path, err)
}
