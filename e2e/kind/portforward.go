package kind

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

const (
	controlPort  = 8081 // of Tyk's control API: control_api_port in manifests/tyk/tyk.conf
	forwardBound = 30 * time.Second
)

// portForward makes a port of a pod reachable on loopback until stop is called. Services, sidecars and
// NetworkPolicies do not apply, because kubectl connects from within the pod.
func (e *Environment) portForward(ctx context.Context, namespace, target string, port int) (url string, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "kubectl", "port-forward", "-n", namespace, "--address", "127.0.0.1", target, fmt.Sprintf(":%d", port))
	cmd.Env = append(os.Environ(), "KUBECONFIG="+e.runFile("kubeconfig"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return "", nil, err
	}
	stop = func() {
		cancel()
		_ = cmd.Wait() // its error is only that it was stopped
	}
	address := make(chan string, 1)
	go func() {
		address <- readForwardedAddress(out)
		_, _ = io.Copy(io.Discard, out) // otherwise kubectl would wait for a reader
	}()
	select {
	case at := <-address:
		if at != "" {
			return "http://" + at, stop, nil
		}
	case <-time.After(forwardBound):
	}
	stop()
	return "", nil, fmt.Errorf("kubectl port-forward %s -n %s: no port was forwarded: %s", target, namespace, lastLines(strings.TrimSpace(stderr.String()), 15))
}

var forwarding = regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:[0-9]+) -> `)

// readForwardedAddress reads the local address from the output of kubectl; "": the output ended before.
func readForwardedAddress(out io.Reader) string {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if found := forwarding.FindStringSubmatch(lines.Text()); found != nil {
			return found[1]
		}
	}
	return ""
}
