package app

import (
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/token"
)

// limitsConfig bounds the memory and time that any sender can make the process spend; see
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

// Ranges. At the lower ends the authorizer still works: no token and no usual Check is
// larger.
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

func (c limitsConfig) check(file *strictyaml.Checker) {
	at := strictyaml.Path{"limits"}
	strictyaml.RequireRange(file, at.With("tokenBytes"), c.TokenBytes, minTokenBytes, token.MaxBytes)
	strictyaml.RequireRange(file, at.With("inFlight"), c.InFlight, minInFlight, maxInFlight)
	strictyaml.RequireRange(file, at.With("inFlightBytes"), c.InFlightBytes, minInFlightBytes, maxInFlightBytes)
	strictyaml.RequireRange(file, at.With("deadline"), c.Deadline, minDeadline, maxDeadline)
	strictyaml.RequireRange(file, at.With("checkBytes"), c.CheckBytes, minCheckBytes, maxCheckBytes)
	strictyaml.RequireRange(file, at.With("headers"), c.Headers, minHeaders, maxHeaders)
	strictyaml.RequireRange(file, at.With("connections"), c.Connections, minConnections, maxConnections)
	strictyaml.RequireRange(file, at.With("streamsPerConnection"), c.StreamsPerConnection, minStreams, maxStreams)
	strictyaml.RequireRange(file, at.With("watches"), c.Watches, minWatches, maxWatches)
	// One address may use half of the bytes, and a message is held together with what is decoded of it.
	if least := limits.MinInFlightBytes(c.CheckBytes); c.InFlightBytes < least && c.CheckBytes <= maxCheckBytes {
		file.Reject(at.With("inFlightBytes"), "%s has no room for one Check of checkBytes, %s: write %s or more, or lower checkBytes", c.InFlightBytes, c.CheckBytes, least)
	}
}

// ofProcess returns the limits without the token's, which are the verifier's.
func (c limitsConfig) ofProcess() limits.Limits {
	return limits.Limits{
		InFlight: c.InFlight, InFlightBytes: c.InFlightBytes, Deadline: c.Deadline, CheckBytes: c.CheckBytes, Headers: c.Headers,
		Connections: c.Connections, StreamsPerConnection: c.StreamsPerConnection, Watches: c.Watches,
	}
}
