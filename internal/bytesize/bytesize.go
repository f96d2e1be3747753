// Package bytesize reads amounts of memory of configuration files, such as 64MiB.
package bytesize

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Size is a number of bytes.
type Size int64

// The binary units of IEC 80000-13.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

var units = []struct {
	name string
	size Size
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}}

// Parse reads a whole number with KiB, MiB or GiB, or a plain number of bytes. A
// decimal unit (MB) is an error: it may mean either of two numbers.
func Parse(text string) (Size, error) {
	digits, unit := text, Size(1)
	for _, u := range units {
		if before, found := strings.CutSuffix(text, u.name); found {
			digits, unit = before, u.size
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n > uint64(math.MaxInt64/unit) {
		return 0, fmt.Errorf("%.32q is not a size: write a whole number with KiB, MiB or GiB, as in 64MiB", text)
	}
	return Size(n) * unit, nil
}

// String writes the largest unit that leaves a whole number, which [Parse] reads.
func (s Size) String() string {
	for _, u := range units {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// UnmarshalYAML implements [yaml.Unmarshaler].
func (s *Size) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: write a size such as 64MiB here", node.Line)}}
	}
	size, err := Parse(node.Value)
	if err != nil {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %v", node.Line, err)}}
	}
	*s = size
	return nil
}
