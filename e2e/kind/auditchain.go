package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
)

// chainReport is what these tests read of `meshpass audit verify -o json`.
type chainReport struct {
	Verified bool
	Records  map[string]int
	Chains   []struct{ Replica string }
	Findings []struct{ File, Kind, Message string }
}

// testAuditChain mounts the key of the chain. It verifies what both replicas write to standard output, as docs/audit.md says, and
// then to files in a volume.
func (r *chartRun) testAuditChain(ctx context.Context) (problems []string, err error) {
	key, err := r.makeChainKey(ctx)
	if err != nil {
		return nil, err
	}
	meshpass := r.repoFile("bin", "meshpass")
	for _, step := range []struct {
		values string
		verify func() ([]byte, error)
	}{
		{"audit-chain.yaml", func() ([]byte, error) {
			logs, err := r.runTool(ctx, nil, "kubectl", "-n", "meshpass", "logs", "-l", "app=meshpass", "-c", "meshpass", "--tail=-1")
			if err != nil {
				return nil, err
			}
			return r.runTool(ctx, logs, meshpass, "audit", "verify", "-o", "json", "--key", key+".pub", "-")
		}},
		{"audit-file.yaml", func() ([]byte, error) { return r.verifyFiles(ctx) }},
	} {
		if err := r.upgrade(ctx, "meshpass", "-f", r.runFile("charts", step.values)); err != nil {
			return []string{err.Error()}, ctx.Err()
		}
		found, err := r.awaitAnswer(ctx, http.StatusOK, `"stock"`)
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
		// The pods before the upgrade write records without a chain, until they have ended.
		if err := r.waitFor(ctx, "whole chains with "+step.values, chartBound, func(context.Context) (string, error) {
			out, err := step.verify()
			if err != nil {
				return err.Error(), ctx.Err()
			}
			var report chainReport
			if err := json.Unmarshal(out, &report); err != nil {
				return "", err
			}
			if !report.Verified || len(report.Chains) != 2 || report.Records["check"] == 0 || report.Chains[0].Replica == report.Chains[1].Replica {
				return fmt.Sprintf("%+v", report), nil
			}
			return "", nil
		}); err != nil {
			problems = append(problems, err.Error())
		}
	}
	return problems, errors.Join(ctx.Err(), r.upgrade(ctx, "meshpass", "--set", "audit.keySecret=,audit.volume=null,config.audit.chain=null,config.audit.output=stdout"))
}

// makeChainKey makes a key and its Secret, and returns the file of the key.
func (r *chartRun) makeChainKey(ctx context.Context) (file string, err error) {
	file = r.runFile("charts", "audit.pem")
	for _, name := range []string{file, file + ".pub"} { // of an earlier run
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if _, err := r.runToolIn(ctx, filepath.Dir(file), nil, r.repoFile("bin", "meshpass"), "audit", "keys", "new", "audit.pem"); err != nil {
		return "", err
	}
	return file, r.applyCreated(ctx, "create", "secret", "generic", "meshpass-audit-key", "-n", "meshpass", "--from-file="+file)
}

// verifyFiles verifies the file of each replica in its pod, which has no public key, and joins the answers.
func (r *chartRun) verifyFiles(ctx context.Context) ([]byte, error) {
	pods, err := r.listPods(ctx, "meshpass", "app=meshpass")
	if err != nil {
		return nil, err
	}
	all := chainReport{Verified: true, Records: map[string]int{}}
	for _, p := range pods {
		out, err := r.kubectl(ctx, "exec", "-n", "meshpass", p.Metadata.Name, "-c", "meshpass", "--", "/usr/local/bin/meshpass", "audit", "verify", "--without-key", "-o", "json",
			"/var/log/meshpass/"+p.Metadata.Name+".jsonl")
		if err != nil {
			return nil, err
		}
		var report chainReport
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			return nil, err
		}
		all.Verified = all.Verified && report.Verified
		all.Chains = append(all.Chains, report.Chains...)
		for kind, count := range report.Records {
			all.Records[kind] += count
		}
	}
	return json.Marshal(all)
}
