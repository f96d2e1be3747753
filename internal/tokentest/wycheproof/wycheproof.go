// Package wycheproof reads the test vectors of C2SP's project Wycheproof: known attacks on
// implementations of signatures and JOSE.
//
// The vectors are a Go module, which the tests download. It is not a requirement in go.mod,
// because it would then be one of every gateway and service that requires our module, and
// its 28 MB are too large to copy. The go command caches it like any other module. Without
// it the tests fail, because a check that may be left out is not reliable.
package wycheproof

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The module and its checksum, as a go.sum would hold them.
const (
	module = "github.com/C2SP/wycheproof@v0.0.0-20250901140545-b51abcfb8daf"
	sum    = "h1:5BKKVVVj676FUWirLcouEEL6GCYR9X0opkMlEUck8FY="
)

// Vector is one test of a file. The schema of the file decides which members it has.
type Vector struct {
	ID        int      `json:"tcId"`
	Comment   string   `json:"comment"`
	JWS       string   `json:"jws"`    // a token in compact serialization
	Message   string   `json:"msg"`    // hex
	Signature string   `json:"sig"`    // hex
	Result    string   `json:"result"` // valid, invalid or acceptable
	Flags     []string `json:"flags"`
}

// Group is a list of tests with one key.
type Group struct {
	Comment string          `json:"comment"`
	Public  json.RawMessage `json:"public"`       // of JWS: a JWK or a set of them
	Private json.RawMessage `json:"private"`      // of JWS too; the only one for symmetric keys
	DER     string          `json:"publicKeyDer"` // of signatures: SubjectPublicKeyInfo, hex
	Tests   []Vector        `json:"tests"`
}

// ReadGroups returns the groups of one file, such as json_web_signature_test.json.
func ReadGroups(t testing.TB, file string) []Group {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(downloadModule(t), "testvectors_v1", file))
	if err != nil {
		t.Fatal(err)
	}
	var content struct {
		Count  int     `json:"numberOfTests"`
		Groups []Group `json:"testGroups"`
	}
	if err := json.Unmarshal(data, &content); err != nil {
		t.Fatal(err)
	}
	for _, group := range content.Groups {
		content.Count -= len(group.Tests)
	}
	if content.Count != 0 {
		t.Fatalf("%s: %d tests were not read", file, content.Count)
	}
	return content.Groups
}

// downloadModule returns the folder of the module. Our own checksum replaces the checksum
// database, which a build without network cannot ask.
func downloadModule(t testing.TB) string {
	t.Helper()
	download := exec.Command("go", "mod", "download", "-json", module)
	download.Dir = t.TempDir() // outside of any module, so that no go.mod is changed
	download.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GONOSUMDB="+module)
	var stdout, stderr bytes.Buffer
	download.Stdout, download.Stderr = &stdout, &stderr
	err := download.Run()
	var answer struct{ Dir, Sum, Error string }
	if bad := json.Unmarshal(stdout.Bytes(), &answer); err != nil || bad != nil {
		t.Fatalf("the test vectors come from the Go module proxy, as any module does: %v %s %s", err, answer.Error, &stderr)
	}
	if answer.Sum != sum {
		t.Fatalf("%s has the checksum %s, want %s", module, answer.Sum, sum)
	}
	return answer.Dir
}
