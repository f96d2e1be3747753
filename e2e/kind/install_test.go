package kind

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The pages that the step install takes have the form that it needs; docs/install.md has no more than ten commands.
func TestPagesOfTheInstallation(t *testing.T) {
	sections, err := readInstallPage("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(sections["The ten commands"]); n != maxCommands {
		t.Errorf("docs/install.md has %d commands, and a title that counts ten", n)
	}
	if _, err := readOnboardingPage("../../docs/onboarding.md"); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	for change, want := range map[string][2]string{
		"one command more": {"## The ten commands\n", "needs 11 commands, want at most 10"},
		"another section":  {"## What you need\n", "has steps in 6 sections, want 5"},
	} {
		page := filepath.Join(t.TempDir(), "install.md")
		changed := strings.Replace(string(text), want[0], want[0]+"\n```sh\ntrue\n```\n", 1)
		if err := os.WriteFile(page, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readInstallPage(page); err == nil || !strings.HasSuffix(err.Error(), want[1]) {
			t.Errorf("%s: got %v, want %s", change, err, want[1])
		}
	}
}

// The API definitions that the commands get are those of manifests/tyk without plugins.
func TestRemoveHooks(t *testing.T) {
	text, err := removeHooks("../../manifests/tyk/apis/orders-jwt.json")
	if err != nil || strings.Contains(string(text), "custom_middleware") || !strings.Contains(string(text), `"api_id": "orders-jwt"`) {
		t.Errorf("got %v\n%s", err, text)
	}
}
