package token_test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/keyset"
)

var fileBlock = regexp.MustCompile("(?s)```\\w+ (\\S+)\n(.*?)```")

// filesInTheDocs returns the files that docs/token.md shows, by name.
func filesInTheDocs(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/token.md")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, block := range fileBlock.FindAllStringSubmatch(string(text), -1) {
		files[block[1]] = block[2]
	}
	return files
}

func TestExampleInTheDocs(t *testing.T) {
	files := filesInTheDocs(t)
	keys, err := keyset.ParseJWKS([]byte(files["jwks.json"]))
	if err != nil {
		t.Fatal(err)
	}
	trust := tokentest.TrustEntry(t)
	trust.Keys = keys
	raw := strings.TrimSuffix(files["token.txt"], "\n")
	if _, err := verifierOf(t, trust).Verify(raw); err != nil {
		t.Error(err)
	}
	for i, name := range []string{"header.json", "claims.json"} {
		part, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[i])
		if err != nil || string(part)+"\n" != files[name] {
			t.Errorf("%s: got %s, %v", name, part, err)
		}
	}
}

// The steps for other languages, by OpenSSL: decode, thumbprint, verify. A changed
// claim must fail in the same script, or it would prove nothing.
func TestStepsInTheDocs(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("NOT RUN: the steps of docs/token.md: needs openssl")
	}
	files := filesInTheDocs(t)
	want := files["header.json"] + files["claims.json"] + "bSeaI3Tenq17hlxB0GAHKtdEAD7oUAe154dtpDCX-qI\nVerified OK\n"
	if out, err := steps(t, files); err != nil || out != want {
		t.Errorf("got %s, %v\nwant %s", out, err, want)
	}
	files["token.txt"] = strings.Replace(files["token.txt"], ".eyJ", ".eyK", 1)
	if out, err := steps(t, files); err == nil || strings.Contains(out, "Verified OK") {
		t.Errorf("a changed token: got %s, %v", out, err)
	}
}

func steps(t *testing.T, files map[string]string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := exec.Command("sh", "-eu", "verify.sh")
	script.Dir = dir
	out, err := script.Output()
	return string(out), err
}
