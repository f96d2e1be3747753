package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/auditverify"
	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/shared/audit"
)

// auditVerify is the flags of `audit verify`.
type auditVerify struct {
	keys      []string
	heads     []string
	writeHead string
	options   auditverify.Options
}

func newAuditVerify() *cobra.Command {
	var a auditVerify
	cmd := &cobra.Command{
		Use: "verify FILE... --key FILE [flags]", Short: "Find audit records that were changed, removed, repeated or moved",
		Long: `Checks the hash chain and the signed checkpoints of audit records, and names the lines that
were changed, removed, repeated or moved. It also prints how many records no checkpoint
covers yet, and which records the trail itself counts as missing.

Give all files of a trail, in any order: rotated files, files that gzip has compressed, and
- for standard input. Memory does not grow with the size of the files.

The last lines of a chain can be cut off without a trace, unless a later checkpoint is known:
keep the file of --write-head where the writer of the records cannot change it, and name it
with --head from the second time on. docs/audit.md says what else cannot be seen.

Exit codes: 0 no finding; 1 findings; 2 a file could not be read, or has no chain.`,
		Example: `  meshpass audit verify --key audit.pem.pub audit.jsonl audit.jsonl.*.gz
  kubectl -n meshpass logs -l app=meshpass -c meshpass --tail=-1 | meshpass audit verify --key audit.pem.pub -
  meshpass audit verify --key audit.pem.pub --head head.jsonl --write-head head.jsonl audit.jsonl*`,
	}
	addList(cmd, &a.keys, "key", "FILE", "public keys that have signed the checkpoints: the FILE.pub of meshpass audit keys new")
	cmd.Flags().BoolVar(&a.options.Unsigned, "without-key", false, "check no signature: a chain that was computed again from the changed line on is not found")
	addList(cmd, &a.heads, "head", "FILE", "checkpoints of an earlier run, which must be in the files")
	addText(cmd, &a.writeHead, "write-head", "FILE", "write the last checkpoint of each chain, if there is no finding")
	cmd.Flags().BoolVar(&a.options.Complete, "complete", false, "the files are all that there is: a chain whose first line is missing is a finding")
	cmd.Flags().BoolVar(&a.options.AllowUnchained, "allow-unchained", false, "accept records without a chain, such as those from before audit.chain was set")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if len(names) == 0 {
			return newUsageError(cmd, "audit verify needs files of audit records, FILE...")
		}
		if a.options.Unsigned == (len(a.keys) > 0) {
			return newUsageError(cmd, "want --key FILE, or --without-key to check no signature")
		}
		if err := checkStdin(cmd, names...); err != nil {
			return err
		}
		report, err := a.verify(cmd, names)
		if err != nil {
			return err
		}
		err = printReport(cmd, report, report.Print, *format, report.Verified)
		if err == nil && a.writeHead != "" {
			if err := atomicfile.Write(a.writeHead, report.Heads(), 0o644); err != nil {
				return &exitError{code: exitCouldNot, inAnswer: true, err: fmt.Errorf("--write-head: %w", err)} // the answer stays
			}
		}
		return err
	}
	return cmd
}

func (a *auditVerify) verify(cmd *cobra.Command, names []string) (auditverify.Report, error) {
	if err := a.readKeys(); err != nil {
		return auditverify.Report{}, err
	}
	if err := a.readHeads(); err != nil {
		return auditverify.Report{}, err
	}
	inputs, err := openRecords(cmd, names)
	if err != nil {
		return auditverify.Report{}, err
	}
	a.options.Progress = showBytesRead(cmd)
	return auditverify.Verify(inputs, a.options)
}

// maxKeyFile and maxHeadFile are far more than the files have.
const (
	maxKeyFile  = 1 << 20
	maxHeadFile = 16 << 20
)

func (a *auditVerify) readKeys() error {
	for _, name := range a.keys {
		text, err := readfile.Read(name, maxKeyFile)
		if err != nil {
			return err
		}
		keys, err := audit.ParseCheckpointKeys(text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		a.options.Keys = append(a.options.Keys, keys...)
	}
	return nil
}

func (a *auditVerify) readHeads() error {
	for _, name := range a.heads {
		text, err := readfile.Read(name, maxHeadFile)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--head: %w: leave --head out the first time, when there is no file of --write-head yet", err)
		}
		if err != nil {
			return fmt.Errorf("--head: %w", err)
		}
		n := 0
		for line := range bytes.SplitSeq(text, []byte("\n")) {
			if n++; len(line) > 0 {
				a.options.Heads = append(a.options.Heads, auditverify.Head{Line: line, Place: fmt.Sprintf("%s:%d", name, n)})
			}
		}
	}
	return nil
}

// openRecords rejects a file that is there twice: all its lines would be repeated.
func openRecords(cmd *cobra.Command, names []string) ([]auditverify.Input, error) {
	var inputs []auditverify.Input
	known := map[string]os.FileInfo{}
	for _, name := range names {
		inputs = append(inputs, auditverify.Input{Name: documentName(name), Open: func() (io.ReadCloser, error) { return openInput(cmd, name) }})
		if name == "-" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			return nil, fmt.Errorf("%s is a folder: name its files, as in %s/*", name, name)
		}
		for other, known := range known {
			if other == name || os.SameFile(info, known) {
				return nil, fmt.Errorf("%s and %s are one file: name it once", other, name)
			}
		}
		known[name] = info
	}
	return inputs, nil
}

// showBytesRead reports progress if reading takes seconds.
func showBytesRead(cmd *cobra.Command) func(int64) {
	total, progress := int64(0), newProgress(cmd)
	return func(n int64) {
		total += n
		progress("%d MB are read", total/1e6)
	}
}
