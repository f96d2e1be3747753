package main

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is the part of the container's limit for Go. The rest is for memory that
// Go's runtime does not count, such as the kernel's buffers of our sockets.
const memoryShare = 0.9

// followMemoryLimit has Go's garbage collector keep the process below the memory
// limit of its cgroup (version 1 or 2), read once by limitOf. A GOMEMLIMIT that the
// user set has been applied by the runtime and stays.
//
// A limit lets the collector run less often than it does by itself: see collectLessOften.
func followMemoryLimit(goMemLimit string, limitOf func() (uint64, error), log *slog.Logger) {
	defer collectLessOften(os.Getenv("GOGC"))
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

// gcPercent is the growth of the heap between two collections. A Check leaves a few kilobytes behind, and a collection costs as much as
// the values in use. With Go's own 100 % it costs about a tenth of a Check.
const gcPercent = 300

// collectLessOften does nothing without a memory limit, and near that limit the collector runs as often as it must. A GOGC that the user set stays.
func collectLessOften(goGC string) {
	if goGC == "" && debug.SetMemoryLimit(-1) != math.MaxInt64 {
		debug.SetGCPercent(gcPercent)
	}
}
