package app

import "github.com/meshpass/meshpass/shared/policy"

// insecureConfig holds every setting that takes a protection away. Each is logged
// at the start.
type insecureConfig struct {
	XFCCFromAnyClient bool `yaml:"xfccFromAnyClient"`
	AllowTestTokens   bool `yaml:"allowTestTokens"`
	JWKSOverHTTP      bool `yaml:"jwksOverHTTP"`
	RedisWithoutTLS   bool `yaml:"redisWithoutTLS"`
}

// openSettings are the warnings of the settings that open something.
func openSettings(c insecureConfig, tlsMode string, unguarded policy.Mode) (warnings []string) {
	warn := func(open bool, message string) {
		if open {
			warnings = append(warnings, message)
		}
	}
	warn(tlsMode == server, "tls.mode server: anyone who can reach a listener may ask on it")
	warn(unguarded == policy.Shadow, "policies.unguarded shadow: anyone who can reach a workload that no document targets may call it")
	warn(c.XFCCFromAnyClient, "insecure.xfccFromAnyClient: anyone who can reach a listener with caller xfcc can ask in the name of any workload")
	warn(c.JWKSOverHTTP, "insecure.jwksOverHTTP: anyone on the way to a key set that is fetched over plain http can sign for its issuer")
	warn(c.RedisWithoutTLS, "insecure.redisWithoutTLS: anyone on the way to Redis can revoke tokens, lift what is revoked there, and read the password")
	warn(c.AllowTestTokens, "insecure.allowTestTokens: anyone who has a key that is meant for tests can ask in the name of any user")
	return warnings
}
