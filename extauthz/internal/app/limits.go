package app

import (
	"runtime/debug"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/extauthz/internal/ops"
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/token"
)

// limitsConfig bounds what anybody who can send something can make us spend; see
// package limits.
type limitsConfig struct {
	TokenBytes           int           `yaml:"tokenBytes"`
	InFlight             int           `yaml:"inFlight"`
	InFlightBytes        bytesize.Size `yaml:"inFlightBytes"`
	Deadline             time.Duration `yaml:"deadline"`
	CheckBytes           bytesize.Size `yaml:"checkBytes"`
	Headers              int           `yaml:"headers"`
	Connections          int           `yaml:"connections"`
	StreamsPerConnection int           `yaml:"streamsPerConnection"`
	Watches              int           `yaml:"watches"`
}

var defaultLimits = limitsConfig{
	TokenBytes:           token.MaxBytes,
	InFlight:             limits.Default.InFlight,
	InFlightBytes:        limits.Default.InFlightBytes,
	Deadline:             limits.Default.Deadline,
	CheckBytes:           limits.Default.CheckBytes,
	Headers:              limits.Default.Headers,
	Connections:          limits.Default.Connections,
	StreamsPerConnection: limits.Default.StreamsPerConnection,
	Watches:              limits.Default.Watches,
}

// Ranges. The lower ends leave an honest setting that works: no token and no
// usual Check is above them.
const (
	minTokenBytes = 512

	minInFlight, maxInFlight           = 16, 65_536
	minInFlightBytes, maxInFlightBytes = 2 * bytesize.MiB, 4 * bytesize.GiB
	minDeadline, maxDeadline           = 10 * time.Millisecond, 10 * time.Second
	minCheckBytes, maxCheckBytes       = 64 * bytesize.KiB, 17 * bytesize.MiB
	minHeaders, maxHeaders             = 32, 10_000
	minConnections, maxConnections     = 8, 100_000
	minStreams, maxStreams             = 8, 10_000
	minWatches, maxWatches             = 2, 10_000
)

// limits are those of the process, without the token's.
func (c limitsConfig) limits() limits.Limits {
	return limits.Limits{
		InFlight: c.InFlight, InFlightBytes: c.InFlightBytes, Deadline: c.Deadline, CheckBytes: c.CheckBytes, Headers: c.Headers,
		Connections: c.Connections, StreamsPerConnection: c.StreamsPerConnection, Watches: c.Watches,
	}
}

func (l *loader) checkLimits() {
	c := l.config.Limits
	strictyaml.RequireRange(l.check, strictyaml.Path{"limits", "tokenBytes"}, c.TokenBytes, minTokenBytes, token.MaxBytes)
	strictyaml.RequireRange(l.check, strictyaml.Path{"limits", "inFlight"}, c.InFlight, minInFlight, maxInFlight)
	strictyaml.RequireRange(l.check, strictyaml.Path{"limits", "inFlightBytes"}, c.InFlightBytes, minInFlightBytes, maxInFlightBytes)
	strictyaml.RequireRange(l.check, strictyaml.Path{"limits", "deadline"}, c.Deadline, minDeadline, maxDeadline)
	strictyaml.RequireRange(l.check, strictyaml.Path{"limits", "checkBytes"}, c.CheckBytes, minCheckBytes, maxCheckBytes)
	strictyaml.RequireRange(l.check, strictyaml.Path{"limits", "headers"}, c.Headers, minHeaders, maxHeaders)
	strictyaml.RequireRange(l.check, strictyaml.Path{"limits", "connections"}, c.Connections, minConnections, maxConnections)
	strictyaml.RequireRange(l.check, strictyaml.Path{"limits", "streamsPerConnection"}, c.StreamsPerConnection, minStreams, maxStreams)
	strictyaml.RequireRange(l.check, strictyaml.Path{"limits", "watches"}, c.Watches, minWatches, maxWatches)
	// One address has half of the bytes, and a message is held with what is decoded of it.
	if least := limits.MinInFlightBytes(c.CheckBytes); c.InFlightBytes < least && c.CheckBytes <= maxCheckBytes {
		l.check.Reject(strictyaml.Path{"limits", "inFlightBytes"}, "%s has no room for one Check of checkBytes, %s: write %s or more, or lower checkBytes", c.InFlightBytes, c.CheckBytes, least)
	}
	l.checkCache()
}

// processMemory is what the process takes with policies, key sets and revocations of
// a usual size, and nobody asking.
const processMemory = 32 * bytesize.MiB

// memory is the sum of all that peers can fill.
func (c config) memory() bytesize.Size {
	return processMemory + c.Cache.VerifiedTokens.bytes + c.Audit.Queue + c.Limits.limits().MaxMemory(len(c.Listeners))
}

// warnMemory compares the sum with the limit that the garbage collector keeps, which
// follows the container's.
func (a *authorizer) warnMemory() {
	if limit := debug.SetMemoryLimit(-1); int64(a.memory) > limit {
		a.Log.Warn("the limits together are above the memory limit: lower limits.connections, limits.inFlightBytes or cache.verifiedTokens, or give the container more memory",
			"limits", a.memory.String(), "memory", bytesize.Size(limit).String())
	}
}

// limitsUsage is for the metrics and for /readyz?verbose.
func (s *service) limitsUsage() ops.Limits {
	usage := s.limiter.Usage()
	now := ops.Limits{
		Checks:  ops.Used{Now: int64(usage.Checks), Max: int64(usage.MaxChecks)},
		Bytes:   ops.Used{Now: usage.Bytes, Max: usage.MaxBytes},
		Watches: ops.Used{Now: int64(usage.Watches), Max: int64(usage.MaxWatches)},
	}
	for _, listener := range s.listening {
		c := listener.Connections()
		now.Listeners = append(now.Listeners, ops.Connections{
			Listener: c.Listener, Used: ops.Used{Now: int64(c.Open), Max: int64(c.Max)}, Refused: c.Refused,
		})
	}
	return now
}
