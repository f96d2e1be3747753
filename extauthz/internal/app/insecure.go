package app

// insecureConfig holds every setting that takes a protection away. Each is logged
// at the start.
type insecureConfig struct {
	XFCCFromAnyClient bool `yaml:"xfccFromAnyClient"`
	AllowTestTokens   bool `yaml:"allowTestTokens"`
	JWKSOverHTTP      bool `yaml:"jwksOverHTTP"`
	RedisWithoutTLS   bool `yaml:"redisWithoutTLS"`
}
