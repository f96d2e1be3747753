package bench

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// cores are the processors of a measurement: the program under test has one to itself, and the load another one.
type cores struct{ server, load int }

// findCores chooses the first two that this process may use. It is an error if there is only one: the load would take
// the time of what is measured.
func findCores() (cores, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return cores{}, fmt.Errorf("reading the affinity: %w", err)
	}
	var found []int
	for cpu := 0; cpu < 1024 && len(found) < 2; cpu++ {
		if allowed.IsSet(cpu) {
			found = append(found, cpu)
		}
	}
	if len(found) < 2 {
		return cores{}, fmt.Errorf("two processors are needed, one for the server and one for the load, and there are %d", len(found))
	}
	return cores{server: found[0], load: found[1]}, nil
}

// pinSelf pins this process to one processor, until the returned function is called.
func pinSelf(cpu int) (restore func() error, err error) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, err
	}
	processors := runtime.GOMAXPROCS(1)
	restore = func() error {
		runtime.GOMAXPROCS(processors)
		return setAffinity(&before)
	}
	return restore, setAffinity(onlyCPU(cpu))
}

func onlyCPU(cpu int) *unix.CPUSet {
	set := &unix.CPUSet{}
	set.Set(cpu)
	return set
}

// setAffinity sets that of all threads. Threads that start later have that of the thread that starts them.
func setAffinity(set *unix.CPUSet) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, set); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// cpuTime is the processor time that a process has used. Other programs of the machine do not change it by much. The clock
// is that of clock_getcpuclockid(3).
func cpuTime(pid int) (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED of Linux: the sum over all threads, in nanoseconds
	var now unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduler), &now); err != nil {
		return 0, fmt.Errorf("the processor time of process %d: %w", pid, err)
	}
	return time.Duration(now.Nano()), nil
}

// threadCPUTime is the processor time of the calling thread, to which the caller has locked its goroutine.
func threadCPUTime() (time.Duration, error) {
	var now unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now)
	return time.Duration(now.Nano()), err
}
