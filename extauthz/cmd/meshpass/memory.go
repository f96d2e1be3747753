package main

import (
	"errors"
	"log/slog"
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is the part of the container's limit for Go. The rest is for memory that
// Go's runtime does not count, such as the kernel's buffers of our sockets.
const memoryShare = 0.9

// followMemoryLimit has Go's garbage collector keep the process below the memory
// limit of its cgroup (version 1 or 2), read once by limitOf. A GOMEMLIMIT that the
// user set has been applied by the runtime and stays.
func followMemoryLimit(goMemLimit string, limitOf func() (uint64, error), log *slog.Logger) {
	if goMemLimit != "" {
		return
	}
	limit, err := limitOf()
	switch {
	case errors.Is(err, memlimit.ErrNoLimit) || errors.Is(err, memlimit.ErrCgroupsNotSupported) || errors.Is(err, memlimit.ErrNoCgroup):
		return
	case err != nil:
		log.Warn("the memory limit of the container is not known, so the garbage collector ignores it: set GOMEMLIMIT", "error", err)
		return
	case limit == 0 || limit > math.MaxInt64: // a cgroup without a limit
		return
	}
	soft := int64(float64(limit) * memoryShare)
	debug.SetMemoryLimit(soft)
	log.Info("memory limit", "container", limit, "go", soft)
}
