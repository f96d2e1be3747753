package app

import (
	"net/url"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

// insecureConfig holds every setting that takes a protection away. Each is logged
// at the start.
type insecureConfig struct {
	XFCCFromAnyClient bool `yaml:"xfccFromAnyClient"`
	AllowTestTokens   bool `yaml:"allowTestTokens"`
	JWKSOverHTTP      bool `yaml:"jwksOverHTTP"`
	RedisWithoutTLS   bool `yaml:"redisWithoutTLS"`
}

var atInsecure = strictyaml.Path{"insecure"}

// checkInsecure rejects weakenings without effect: one that is left over would also weaken a listener or a
// Redis that is added later. JWKSOverHTTP is checked with the trust section, which can change.
func checkInsecure(file *strictyaml.Checker, c config) {
	if file.ErrOfShape() != nil { // what needs it may be the part that could not be read
		return
	}
	if c.Insecure.XFCCFromAnyClient && !c.needsXFCCFromAnyClient() {
		file.Reject(atInsecure.With("xfccFromAnyClient"), "no listener needs it: it is for caller: %s where tls.mode knows no client's name; remove it", byXFCC)
	}
	if c.Insecure.RedisWithoutTLS && !c.Revocation.Redis.needsRedisWithoutTLS() {
		file.Reject(atInsecure.With("redisWithoutTLS"), "no Redis needs it: it is for a revocation.redis on another machine without caFile; remove it")
	}
}

func (c config) needsXFCCFromAnyClient() bool {
	for _, listener := range c.Listeners {
		if listener.Caller == byXFCC && !c.TLS.knowsClients() {
			return true
		}
	}
	return false
}

func (c redisConfig) needsRedisWithoutTLS() bool {
	return c.Address != "" && c.client().CheckTLS() != nil
}

// checkJWKSOverHTTP is [checkInsecure] for key sets at URLs.
func checkJWKSOverHTTP(file *strictyaml.Checker, c config) {
	for _, entry := range c.Trust {
		if isPlainHTTP(entry.JWKS.URL) {
			return
		}
	}
	if c.Insecure.JWKSOverHTTP {
		file.Reject(atInsecure.With("jwksOverHTTP"), "no key set needs it: it is for a trust[].jwks.url with http; remove it")
	}
}

func isPlainHTTP(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "http"
}
