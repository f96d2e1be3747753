package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/pagetest"
)

// The commands of docs/recipes.md print what the page shows, and lint finds nothing in its documents.
func TestRecipes(t *testing.T) {
	const page = "../../../docs/recipes.md"
	steps, err := pagetest.ReadSteps(page)
	if err != nil {
		t.Fatal(err)
	}
	reader := pagetest.Reader{Dir: t.TempDir()}
	if err := reader.TakeSteps(t.Context(), steps); err != nil {
		t.Fatalf("%s: %v", page, err)
	}
	folders, err := os.ReadDir(reader.Dir)
	if err != nil || len(folders) != 8 {
		t.Fatalf("got %v, %v", folders, err)
	}
	for _, folder := range folders {
		if code, stdout, stderr := ran(t, "policy", "lint", "--strict", filepath.Join(reader.Dir, folder.Name())); code != 0 {
			t.Errorf("%s: got %d, %s%s", folder.Name(), code, stdout, stderr)
		}
	}
}

// The smallest files of docs/policy.md and docs/configuration.md are accepted as they are.
func TestSmallestFiles(t *testing.T) {
	reader := pagetest.Reader{Dir: t.TempDir()}
	for _, page := range []string{"policy.md", "configuration.md"} {
		steps, err := pagetest.ReadSteps("../../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		steps = slices.DeleteFunc(steps, func(s pagetest.Step) bool { return s.File == "" })
		if err := reader.TakeSteps(t.Context(), steps); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{
		"mkdir policies && mv smallest.yaml policies/ && head -c 32 /dev/urandom | base64 >hmac && chmod 600 hmac",
		"meshpass keys new --dir keys --first && meshpass keys publish --dir keys --out jwks.json",
		"meshpass policy lint policies",
		"meshpass config check --strict meshpass.yaml plugin.yaml",
	} {
		if output, err := inDir(t.Context(), reader.Dir, command); err != nil {
			t.Errorf("%s: %v\n%s", command, err, output)
		}
	}
}

func inDir(ctx context.Context, dir, command string) (string, error) {
	cmd := exec.CommandContext(ctx, "bash", "-c", command)
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// Each expression of the table of functions in docs/policy.md is one that a rule may have.
func TestFunctionsOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "\n| function | example |\n| --- | --- |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var rules []string
	for _, row := range strings.Split(table, "\n") {
		for _, code := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row, -1) {
			rules = append(rules, "    - {name: r"+strconv.Itoa(len(rules))+", effect: allow, when: '"+strings.ReplaceAll(code[1], `\|`, "|")+"'}\n")
		}
	}
	if !found || len(rules) < 20 {
		t.Fatalf("the table has %d expressions", len(rules))
	}
	dir := t.TempDir()
	document := "apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: a}\nspec:\n  targets: {workloads: [ns/a/sa/b]}\n  rules:\n" + strings.Join(rules, "")
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ := ran(t, "policy", "lint", dir); code != 0 {
		t.Errorf("got %d, %s\n%s", code, stdout, document)
	}
}
