package app

import "github.com/meshpass/meshpass/shared/policy"

// insecureConfig holds every setting that takes a protection away. Each is told
// at the start.
type insecureConfig struct {
	XFCCFromAnyClient bool `yaml:"xfccFromAnyClient"`
	AllowTestTokens   bool `yaml:"allowTestTokens"`
	JWKSOverHTTP      bool `yaml:"jwksOverHTTP"`
	RedisWithoutTLS   bool `yaml:"redisWithoutTLS"`
}

func (a *authorizer) warn() {
	if a.mode == server {
		a.Log.Warn("tls.mode server: whoever can reach a listener may ask on it")
	}
	if a.unguarded == policy.Shadow {
		a.Log.Warn("policies.unguarded shadow: whoever can reach a workload that no document targets may call it")
	}
	if a.insecure.XFCCFromAnyClient {
		a.Log.Warn("insecure.xfccFromAnyClient: whoever can reach a listener with caller xfcc can ask in any workload's name")
	}
	if a.insecure.JWKSOverHTTP {
		a.Log.Warn("insecure.jwksOverHTTP: whoever is on the way to a key set that is fetched over plain http can sign for its issuer")
	}
	if a.insecure.RedisWithoutTLS {
		a.Log.Warn("insecure.redisWithoutTLS: anyone on the way to Redis can revoke tokens, lift what is revoked there, and read the password")
	}
	if a.insecure.AllowTestTokens {
		a.Log.Warn("insecure.allowTestTokens: whoever has a key that is meant for tests can ask in any user's name")
	}
}
