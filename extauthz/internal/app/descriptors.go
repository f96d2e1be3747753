package app

import (
	"math"
	"os"
	"syscall"

	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/extauthz/internal/ops"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// fileDescriptors are enough for the files that are read at one time, and for connections to Redis, to
// servers of key sets and to a collector.
const fileDescriptors = 64

// descriptors is how many the process needs if all of its connections are open.
func (c config) descriptors() int {
	sum := fileDescriptors + len(c.Listeners)*(c.Limits.Connections+limits.Handshakes)
	if c.Ops != "" {
		sum += maxProbes
	}
	if c.Debug != "" {
		sum += maxDebugConnections
	}
	return sum
}

// maxDescriptors is the limit of the process, RLIMIT_NOFILE. Go has raised the soft limit to the hard one.
func maxDescriptors() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(limit.Cur)
}

// countDescriptors gives those that are open. If they cannot be listed, no descriptor is left.
func countDescriptors() ops.Used {
	most := maxDescriptors()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return ops.Used{Now: most, Max: most}
	}
	return ops.Used{Now: int64(len(open) - 1), Max: most} // one of them listed the others
}

func descriptorsBelow(needed int, limit int64) warnings {
	if int64(needed) <= limit {
		return nil
	}
	return warnings{newWarning(strictyaml.Path{"limits", "connections"},
		"limits.connections and files need more descriptors than the process may open: raise its limit (ulimit -n), or lower limits.connections",
		"needed", needed, "limit", limit)}
}
