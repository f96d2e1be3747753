package auditconfig

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/meshpass/meshpass/internal/secretfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/audit"
)

// Chain is the section audit.chain. Without it, records are no chain.
type Chain struct {
	Key        string        `yaml:"key" env:"expand"` // file: the private key that signs checkpoints
	Checkpoint time.Duration `yaml:"checkpoint"`       // between a record and the checkpoint that covers it; default 1m
}

// DefaultChain has the defaults of the section.
var DefaultChain = Chain{Checkpoint: audit.DefaultCheckpoint}

// Bounds of audit.chain.checkpoint. A checkpoint is a line of 600 bytes.
const (
	minCheckpoint = time.Second
	maxCheckpoint = time.Hour
)

var atChain = strictyaml.Path{"audit", "chain"}

// CheckChain rejects a section that is there without a key, or has a value out of its bounds.
func CheckChain(file *strictyaml.Checker, c Chain) {
	if !file.Has(atChain) {
		return
	}
	file.RequireText(atChain.With("key"), c.Key)
	strictyaml.RequireRange(file, atChain.With("checkpoint"), c.Checkpoint, minCheckpoint, maxCheckpoint)
}

// Load reads the key, which is a path from the folder of the configuration. It returns nil without the section, and records
// what is wrong.
func (c Chain) Load(file *strictyaml.Checker) *audit.Chain {
	if c.Key == "" {
		return nil
	}
	key, err := ReadChainKey(file.ResolvePath(c.Key))
	file.RejectError(atChain.With("key"), err)
	return &audit.Chain{Key: key, Checkpoint: c.Checkpoint}
}

const maxKeyBytes = 64 << 10

// ReadChainKey reads the private key of a chain. A file that others may read is an error.
func ReadChainKey(file string) (ed25519.PrivateKey, error) {
	data, err := secretfile.Read(file, secretfile.Secret, maxKeyBytes)
	if err != nil {
		return nil, err
	}
	key, err := audit.ParseChainKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}
