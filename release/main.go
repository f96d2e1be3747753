// Command release writes a release to a folder: archives, images, software bills of materials, checksums and a signature.
//
// The same commit, toolchain and key make the same bytes, in any folder. Programs are built for linux/amd64 and linux/arm64;
// the plugin is built for linux/amd64, because the gateway that must load it is run on the machine of the build.
//
// Exit codes: 0 the release is complete; 2 it could not be made, and the folder holds no release.
package main

import (
	"crypto/ecdsa"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// options are what a release is made of.
type options struct {
	root, out string
	version   string // such as v1.2.3
	key       string // file of the ECDSA key that signs; "" with unsigned
	bundleKey string // file of the RSA key that signs the Tyk bundle; "": no bundle
	tyk       []gatewaySource
	revision  string
	date      time.Time // of the commit
}

// gatewaySource is a gateway release whose plugin is built, and the folder with its source; "": the gateway of our module.
type gatewaySource struct{ release, source string }

var versionForm = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$`)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	var key *ecdsa.PrivateKey
	if o.key != "" {
		if key, err = readSigningKey(o.key); err != nil {
			return err
		}
	}
	if entries, err := os.ReadDir(o.out); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: remove it first, so that nothing of another release is in it", o.out)
	}
	// A folder with this name is complete, or is not there.
	work, err := os.MkdirTemp(filepath.Dir(o.out), ".release-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // what is complete was renamed
	if err := writeRelease(o, work, key); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(work, "dist"), 0o755); err != nil {
		return err
	}
	if err := os.Remove(o.out); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Rename(filepath.Join(work, "dist"), o.out)
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.root, "root", "..", "`folder` of the repository")
	flags.StringVar(&o.out, "out", "../dist", "`folder` of the release")
	flags.StringVar(&o.version, "version", "", "`version`, such as v1.2.3")
	flags.StringVar(&o.key, "key", "", "`file` of the ECDSA P-256 key that signs, in PEM")
	flags.StringVar(&o.bundleKey, "bundle-key", "", "`file` of the RSA key that signs the Tyk bundle; absent: no bundle")
	unsigned := flags.Bool("unsigned", false, "do not sign")
	changed := flags.Bool("changed", false, "build a working tree with changes that are not committed")
	flags.Func("tyk", "`RELEASE=FOLDER` of a gateway's source; may be given several times", func(text string) error {
		release, source, ok := strings.Cut(text, "=")
		if !ok || !versionForm.MatchString(release) {
			return errors.New("want vX.Y.Z=FOLDER")
		}
		o.tyk = append(o.tyk, gatewaySource{release, source})
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("%w; make release passes the flags", err)
	}
	switch {
	case !versionForm.MatchString(o.version):
		return o, fmt.Errorf("version %q: want one such as v1.2.3 (make release VERSION=v1.2.3)", o.version)
	case (o.key == "") != *unsigned:
		return o, errors.New("want a key or no signature: make release KEY=FILE, or UNSIGNED=1")
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for _, path := range []*string{&o.root, &o.out, &o.key, &o.bundleKey} {
		if *path != "" {
			absolute, err := filepath.Abs(*path)
			if err != nil {
				return o, err
			}
			*path = absolute
		}
	}
	return o, o.readCommit(*changed)
}

// readCommit sets revision and date. Files that are not committed would be in the release under the name of a commit that
// does not have them.
func (o *options) readCommit(changed bool) error {
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-C", o.root}, args...)...).Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w: a release is made from a clone", strings.Join(args, " "), err)
		}
		return strings.TrimSpace(string(out)), nil
	}
	status, err := git("status", "--porcelain")
	if err != nil {
		return err
	}
	if status != "" && !changed {
		return fmt.Errorf("these files are not committed:\n%s\ncommit them, or set CHANGED=1 for a trial", status)
	}
	if o.revision, err = git("rev-parse", "HEAD"); err != nil {
		return err
	}
	if status != "" {
		o.revision += "-changed"
	}
	date, err := git("log", "-1", "--format=%cI")
	if err != nil {
		return err
	}
	o.date, err = time.Parse(time.RFC3339, date)
	o.date = o.date.UTC()
	return err
}

// name is the version in names of files, without v.
func (o options) name() string { return strings.TrimPrefix(o.version, "v") }
