package app

import (
	"runtime"
	"runtime/debug"
)

// reloadGCPercent lets the heap grow by less between two collections than the 100 % of a process
// that decides.
const reloadGCPercent = 25

// collectEagerly runs a reload. The values before and after it are in memory together, so the room
// that the collector usually leaves for garbage would be that of both.
func collectEagerly(reload func()) {
	usual := debug.SetGCPercent(reloadGCPercent)
	if usual >= 0 && usual < reloadGCPercent {
		debug.SetGCPercent(usual)
	}
	defer debug.SetGCPercent(usual)
	reload()
}

// collectReplaced collects the values that a reload has replaced. Otherwise they count as in use
// until the next collection, and the heap may grow to twice as much before that. Only the caller waits.
func collectReplaced() { runtime.GC() }
