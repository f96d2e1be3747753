package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
)

// server is a running ext_authz server, with the connections of one Envoy to it.
type server struct {
	name    string
	process *process.Proc
	address string // of Checks
	debug   string // address of profiles; empty: it has none
	clients []*client
}

// connections is how many an Envoy with two worker threads has.
const connections = 2

// anyCPU in the place of a processor: the program runs on all of them.
const anyCPU = -1

// startServer starts a program on the processor for servers. found finds the address of Checks, and that of profiles, in the file
// that the program writes its log to.
func startServer(ctx context.Context, spec process.Spec, cpu int, found *regexp.Regexp) (_ *server, err error) {
	spec.Pinned, spec.CPU = cpu != anyCPU, max(cpu, 0)
	s := &server{name: spec.Name}
	if s.process, err = process.Start(spec); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = s.process.AwaitReady(ctx, func(context.Context) error {
		log, err := os.ReadFile(spec.Stderr)
		if err != nil {
			return err
		}
		addresses := found.FindSubmatch(log)
		if addresses == nil {
			return errors.New("it does not serve yet")
		}
		s.address = string(addresses[1])
		if len(addresses) > 2 {
			s.debug = string(addresses[2])
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, errors.New(lastLines(spec.Stderr)))
	}
	for range connections {
		c, err := newClient(s.address)
		if err != nil {
			return nil, fmt.Errorf("connecting to %s: %w", s.name, err)
		}
		s.clients = append(s.clients, c)
	}
	return s, nil
}

// lastLines returns the end of a log: the folder of the run is removed.
func lastLines(log string) string {
	const most = 2000
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

func (s *server) close() error {
	for _, c := range s.clients {
		_ = c.close() // the server ends
	}
	return s.process.Stop()
}

var allowAllLog = regexp.MustCompile(`(?m)^(127\.\S+)$`)

// startAllowAll starts the base of all rows about Checks.
func startAllowAll(ctx context.Context, dir string, cpu int, env ...string) (*server, error) {
	program, err := repo.Bin("allowall", "bin/allowall")
	if err != nil {
		return nil, err
	}
	log := filepath.Join(dir, "allowall.log")
	return startServer(ctx, process.Spec{Name: "allowall", Path: program, Stdout: log, Stderr: log, Dir: dir, Env: env}, cpu, allowAllLog)
}

// answered is what a load of a server has got.
type answered struct {
	answers int
	took    time.Duration // time of day
	cpu     time.Duration // of the server
}

func (a answered) plus(b answered) answered {
	return answered{answers: a.answers + b.answers, took: a.took + b.took, cpu: a.cpu + b.cpu}
}

func (a answered) cpuMicroseconds() float64 { return float64(a.cpu) / 1e3 / float64(a.answers) }
func (a answered) perSecond() float64       { return float64(a.answers) / a.took.Seconds() }

// load has a number of Checks in flight for a time, or until next returns nil. It is called by several goroutines, one after
// another.
func (s *server) load(length time.Duration, inFlight int, next func() []byte) (got answered, err error) {
	cpuBefore, err := cpuTime(s.process.PID())
	if err != nil {
		return got, err
	}
	began := time.Now()
	var mu sync.Mutex
	lockedNext := func() []byte {
		mu.Lock()
		defer mu.Unlock()
		return next()
	}
	counts, errs := make([]int, len(s.clients)), make([]error, len(s.clients))
	var all sync.WaitGroup
	for i, c := range s.clients {
		all.Go(func() { counts[i], errs[i] = c.runClosed(inFlight/len(s.clients), began.Add(length), lockedNext) })
	}
	all.Wait()
	got.took = time.Since(began)
	cpuAfter, err := cpuTime(s.process.PID())
	got.cpu = cpuAfter - cpuBefore
	for _, count := range counts {
		got.answers += count
	}
	if err := errors.Join(append(errs, err, s.process.Err())...); err != nil {
		return got, fmt.Errorf("%s: %w", s.name, err)
	}
	if got.answers == 0 {
		return got, fmt.Errorf("%s answered nothing", s.name)
	}
	return got, nil
}

// profileDuring writes a CPU profile of the server while do runs, into the folder of profiles, if there is one.
func (s *server) profileDuring(ctx context.Context, r Round, name string, do func() (answered, error)) (answered, error) {
	if r.Profile == "" || s.debug == "" {
		return do()
	}
	data := make(chan []byte, 1)
	go func() {
		profile, err := s.fetch(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, int(r.Length.Seconds()))))
		if err != nil {
			r.Log("no profile: %v", err)
		}
		data <- profile
	}()
	got, err := do()
	return got, errors.Join(err, os.WriteFile(filepath.Join(r.Profile, fmt.Sprintf("%s-%d.pprof", name, r.Number)), <-data, 0o644))
}

func (s *server) fetch(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.debug+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := io.Copy(&body, response.Body); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	return body.Bytes(), nil
}
