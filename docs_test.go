package meshpass_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each test that these pages name exists in the folder that they name.
func TestPagesNameTestsThatExist(t *testing.T) {
	for _, file := range []string{"docs/threat-model.md", "docs/failure-modes.md", "ARCHITECTURE.md"} {
		for _, name := range regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9_]+)`").FindAllStringSubmatch(readFile(t, file), -1) {
			if !declaresTest(t, name[1], name[2]) {
				t.Errorf("%s: %s has no %s", file, name[1], name[2])
			}
		}
	}
}

// Links between pages lead to files and headings that exist.
func TestLinksOfPages(t *testing.T) {
	for _, page := range pages(t) {
		for _, link := range regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`).FindAllStringSubmatch(readFile(t, page), -1) {
			target := page
			if link[1] != "" {
				target = filepath.Join(filepath.Dir(page), link[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", page, link[1])
			} else if link[2] != "" && !slices.Contains(anchors(readFile(t, target)), link[2][1:]) {
				t.Errorf("%s: %s has no heading %s", page, target, link[2])
			}
		}
	}
}

// docs/README.md leads to every page.
func TestEveryPageIsListed(t *testing.T) {
	list := readFile(t, "docs/README.md")
	for _, page := range pages(t) {
		if name := strings.TrimPrefix(page, "docs/"); name != "README.md" && !strings.Contains(list, name+")") && !strings.Contains(list, name+"#") {
			t.Errorf("docs/README.md does not list %s", page)
		}
	}
}

func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(found, "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
}

// anchors returns the places in a page to which a link can lead: GitHub's names of its headings, and ids.
func anchors(page string) (names []string) {
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	for _, id := range regexp.MustCompile(`<a id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		names = append(names, id[1])
	}
	return names
}

func declaresTest(t *testing.T, folder, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.Contains(readFile(t, file), "\nfunc "+test+"(") {
			return true
		}
	}
	return false
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// make bundle says what to write before it builds plugins, which takes minutes.
func TestBundleNeedsAKey(t *testing.T) {
	for arguments, want := range map[string]string{
		"KEY=":          "make bundle: write KEY=FILE or UNSIGNED=1; openssl genrsa",
		"KEY=none.pem":  "make bundle: there is no file none.pem; openssl genrsa",
		"UNSIGNED=1":    "",
		"KEY=README.md": "",
	} {
		out, err := exec.Command("make", "-s", "bundle-key", arguments).CombinedOutput()
		if (err != nil) != (want != "") || !strings.HasPrefix(string(out), want) {
			t.Errorf("%s: %v, got %q, want %q", arguments, err, out, want)
		}
	}
}
