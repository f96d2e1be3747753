// Package subnet gives each run its own addresses: one /24 of 127.0.0.0/8,
// where every workload has an address and keeps its ports. Checked-in files
// are written for one /24 and carried over to the run's by replacing text.
package subnet

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Template is the prefix of addresses in checked-in files.
const Template = "127.77.0."

// The port on .1 that a run holds as its claim on the /24; nothing else uses it.
const claimPort = "15999"

// Subnet is a claimed /24. Its zero value is not usable.
type Subnet struct {
	prefix string // "127.77.3."
	claim  net.Listener
}

// Claim takes a /24 that no other run on this machine holds. It is held until
// Release or the end of the process.
func Claim() (*Subnet, error) {
	const first, count = 77, 48 // 127.77.x.y to 127.124.x.y; 127.0.x.y and 127.127.x.y often belong to others
	for range 64 {
		prefix := fmt.Sprintf("127.%d.%d.", first+rand.IntN(count), rand.IntN(256))
		claim, err := net.Listen("tcp4", net.JoinHostPort(prefix+"1", claimPort))
		if err == nil {
			return &Subnet{prefix, claim}, nil
		}
	}
	return nil, errors.New("no free 127.x.y.0/24; is another program listening everywhere on port " + claimPort + "?")
}

// Release gives the /24 back.
func (s *Subnet) Release() error { return s.claim.Close() }

// Prefix is the first three octets with their dots, such as "127.80.3.".
func (s *Subnet) Prefix() string { return s.prefix }

// Addr is the host's address, such as Addr(11) = "127.80.3.11".
func (s *Subnet) Addr(host int) string { return fmt.Sprintf("%s%d", s.prefix, host) }

// Localise carries a checked-in text over to a prefix.
func Localise(text []byte, prefix string) []byte {
	return []byte(strings.ReplaceAll(string(text), Template, prefix))
}

// CopyDir writes the files of src, without folders, to dir, carried over to
// the subnet.
func (s *Subnet) CopyDir(dir string, src fs.FS) error {
	entries, err := fs.ReadDir(src, ".")
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		data, err := fs.ReadFile(src, e.Name())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, e.Name()), Localise(data, s.prefix), 0o644)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
