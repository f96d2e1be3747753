// Command lintload writes a large installation, reads it with `meshpass lint` and `meshpass routes`, and prints what that takes.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/e2e/repo"
)

func main() {
	definitions, services := flag.Int("definitions", 2000, "API definitions"), flag.Int("services", 1250, "services, with four objects each")
	domains := flag.Int("domains", 1900, "API definitions of the second run of routes that have a domain each; the others are for all hosts")
	keep := flag.String("keep", "", "a folder for the files, which stay there; empty: one that is removed")
	flag.Parse()
	err := run(*definitions, *services, *keep)
	if err == nil {
		err = runDomains(*definitions, *domains)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lintload:", err)
		os.Exit(2)
	}
}

func run(definitions, services int, dir string) error {
	if dir == "" {
		made, err := os.MkdirTemp("", "lintload")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(made) }() // a folder of this run alone
		dir = made
	}
	root, err := repo.Root()
	if err != nil {
		return err
	}
	if err := writeDefinitions(root, dir, definitions, services); err != nil {
		return err
	}
	if err := writeObjects(dir, services); err != nil {
		return err
	}
	return measure(root, dir)
}

// runDomains measures `meshpass routes` on definitions of which most have a domain, so that the others are repeated for each of these hosts.
func runDomains(definitions, domains int) error {
	dir, err := os.MkdirTemp("", "lintload")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder of this run alone
	conf := `{"listen_port": 8080, "control_api_port": 8081, "secret": "x", "app_path": "apps", "enable_custom_domains": true}`
	if err := os.WriteFile(filepath.Join(dir, "tyk.conf"), []byte(conf), 0o600); err != nil {
		return err
	}
	for i := range definitions {
		id := fmt.Sprintf("api-%04d", i)
		api := map[string]any{
			"api_id": id, "name": id, "use_keyless": true, "version_data": map[string]any{"not_versioned": true, "versions": map[string]any{"Default": map[string]any{"name": "Default"}}},
			"proxy": map[string]any{"listen_path": "/" + id + "/", "strip_listen_path": true, "target_url": fmt.Sprintf("http://app-%04d.load.svc.cluster.local:8080/", i)},
		}
		if i < domains {
			api["domain"] = id + ".example.com"
		}
		data, err := json.Marshal(api)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, id+".json"), data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	program, err := repo.Bin("meshpass", "bin/meshpass")
	if err != nil {
		return err
	}
	fmt.Printf("%d domains, and %d APIs for all hosts\n", domains, definitions-domains)
	if _, err := measureCommand(program, "routes", "check", "-f", dir); err != nil {
		return err
	}
	out, err := measureCommand(program, "routes", "render", "--kind", "virtualservice", "--gateway", "edge/public", "-f", dir)
	fmt.Printf("routes of %d MiB\n", len(out)>>20)
	return err
}

// measure runs the commands, and prints what each takes, and its result.
func measure(root, dir string) error {
	program, err := repo.Bin("meshpass", "bin/meshpass")
	if err != nil {
		return err
	}
	input := []string{"-k", filepath.Join(root, "manifests", "overlays", "dev"), "-f", filepath.Join(root, "manifests", "istio", "install.yaml"), "-f", dir}
	out, err := measureCommand(program, append([]string{"lint", "-o", "json"}, input...)...)
	if err != nil {
		return err
	}
	var report struct {
		Objects, Files int
		Findings       []struct{ Code string }
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return err
	}
	fmt.Printf("objects %d, files %d, findings %d\n", report.Objects, report.Files, len(report.Findings))
	for i, f := range report.Findings {
		if i == 5 {
			break
		}
		fmt.Println("  ", f.Code)
	}
	return measureRoutes(program, input)
}

// measureRoutes renders routes of both kinds, and checks them.
func measureRoutes(program string, input []string) error {
	dir, err := os.MkdirTemp("", "lintload")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder of this run alone
	for _, kind := range []string{"virtualservice", "httproute"} {
		out, err := measureCommand(program, append([]string{"routes", "render", "--kind", kind, "--gateway", "edge/public", "--partial"}, input...)...)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, kind+".yaml")
		if err := os.WriteFile(file, out, 0o600); err != nil {
			return err
		}
		if out, err = measureCommand(program, append([]string{"routes", "check", "-o", "json", "-f", file}, input...)...); err != nil {
			return err
		}
		var report struct {
			Coverage, Holes []struct{}
			Routes          int
		}
		if err := json.Unmarshal(out, &report); err != nil {
			return err
		}
		fmt.Printf("APIs %d, routes %d, holes %d\n", len(report.Coverage), report.Routes, len(report.Holes))
	}
	return nil
}

// measureCommand runs a command, and prints its wall-clock time, CPU time and memory. The exit codes 0 and 1 are answers.
func measureCommand(program string, args ...string) ([]byte, error) {
	cmd := exec.Command(program, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	began := time.Now()
	err := cmd.Run()
	wall := time.Since(began)
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 1) {
		return nil, fmt.Errorf("%w\n%.2000s%.2000s", err, log.String(), out.String())
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	fmt.Printf("meshpass %s: wall %.2f s, CPU %.2f s (system %.2f s), memory %d MiB, lines of progress %d\n", strings.Join(args[:2], " "),
		wall.Seconds(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), cmd.ProcessState.SystemTime().Seconds(), usage.Maxrss>>10, strings.Count(log.String(), "meshpass: "))
	return out.Bytes(), nil
}

// writeDefinitions writes definitions like the shipped one, each with lists of endpoints, to the services.
func writeDefinitions(root, dir string, definitions, services int) error {
	text, err := os.ReadFile(filepath.Join(root, "manifests", "tyk", "apis", "orders-key.json"))
	if err != nil {
		return err
	}
	for i := range definitions {
		var api map[string]any
		if err := json.Unmarshal(text, &api); err != nil {
			return err
		}
		id := fmt.Sprintf("api-%04d", i)
		api["api_id"], api["name"] = id, id
		proxy := api["proxy"].(map[string]any)
		proxy["listen_path"] = fmt.Sprintf("/load/%s/", id)
		if i%3 == 0 {
			proxy["listen_path"] = fmt.Sprintf("/tenants/{tenant}/%s/", id)
		}
		proxy["target_url"] = fmt.Sprintf("http://app-%04d.load-%02d.svc.cluster.local:8080/", i%services, i%services%20)
		var allowed []map[string]any
		for j := range 10 {
			allowed = append(allowed, map[string]any{"path": fmt.Sprintf("^/v1/items/%d/[^/]+$", j), "method": "GET"})
		}
		api["version_data"] = map[string]any{"not_versioned": true, "versions": map[string]any{"Default": map[string]any{
			"name": "Default", "use_extended_paths": true, "extended_paths": map[string]any{"white_list": allowed},
		}}}
		data, err := json.Marshal(api)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, id+".json"), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

const workload = `apiVersion: v1
kind: ServiceAccount
metadata: {name: NAME, namespace: SPACE}
---
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: SPACE}
spec: {selector: {app: NAME}, ports: [{name: http, port: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: SPACE, labels: {app: NAME}}
spec:
  replicas: 2
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME, meshpass.dev/guarded: "true"}}
    spec:
      serviceAccountName: NAME
      containers: [{name: app, image: "registry.example/NAME:1", ports: [{name: http, containerPort: 8080}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: NAME, namespace: SPACE}
spec: {hosts: [NAME], http: [{timeout: 5s, route: [{destination: {host: NAME}}]}]}
---
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: NAME}
spec:
  targets: {workloads: [ns/SPACE/sa/NAME]}
  rules: [{name: read, effect: allow, from: {workloads: [ns/edge/sa/tyk-gateway]}, to: {methods: [GET]}, scopes: [orders.read]}]
`

// writeObjects writes workloads in 20 namespaces, with mutual TLS, and a document for each.
func writeObjects(dir string, services int) error {
	for space := range 20 {
		var b strings.Builder
		fmt.Fprintf(&b, "apiVersion: v1\nkind: Namespace\nmetadata: {name: load-%02d, labels: {istio-injection: enabled}}\n---\n", space)
		fmt.Fprintf(&b, "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: strict, namespace: load-%02d}\nspec: {mtls: {mode: STRICT}}\n", space)
		for i := space; i < services; i += 20 {
			b.WriteString("---\n" + strings.NewReplacer("NAME", fmt.Sprintf("app-%04d", i), "SPACE", fmt.Sprintf("load-%02d", space)).Replace(workload))
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("load-%02d.yaml", space)), []byte(b.String()), 0o600); err != nil {
			return err
		}
	}
	return nil
}
