package app

import (
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// checkout is a clone of a repository that a real Git server serves, with the layout of git-sync: each revision has a worktree of its
// own, a change swaps the link to it, and the worktree before is removed. The program git-sync itself does not run here.
type checkout struct {
	t           *testing.T
	git         string
	work, clone string // where commits are made; what the authorizer reads
	before      string // the worktree of the link
}

func newCheckout(t *testing.T, clone string) *checkout {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("NOT RUN: documents of a Git checkout: needs git")
	}
	c := &checkout{t: t, git: git, work: t.TempDir(), clone: clone}
	server := httptest.NewServer(&cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + c.work, "GIT_HTTP_EXPORT_ALL=1"}})
	t.Cleanup(server.Close)
	c.run(c.work, "init", "--quiet", "--initial-branch=main")
	c.run(c.work, "commit", "--quiet", "--allow-empty", "--message=begin")
	c.run(filepath.Dir(clone), "clone", "--quiet", "--no-checkout", server.URL+"/.git", clone)
	return c
}

func (c *checkout) run(dir string, args ...string) string {
	c.t.Helper()
	cmd := exec.Command(c.git, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// push commits a document, and brings the clone to that revision.
func (c *checkout) push(content string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.work, "orders.yaml"), []byte(content), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.run(c.work, "add", "orders.yaml")
	c.run(c.work, "commit", "--quiet", "--message=change")
	c.run(c.clone, "fetch", "--quiet", "origin", "main")
	revision := c.run(c.clone, "rev-parse", "FETCH_HEAD")
	worktree := filepath.Join(".worktrees", revision)
	c.run(c.clone, "worktree", "add", "--quiet", "--detach", worktree, revision)
	link := filepath.Join(c.clone, "next")
	if err := os.Symlink(worktree, link); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(c.clone, "current")); err != nil {
		c.t.Fatal(err)
	}
	if c.before != "" {
		c.run(c.clone, "worktree", "remove", "--force", c.before)
	}
	c.before = worktree
}

// TestACheckoutOfGit changes documents by commits to a real Git server.
func TestACheckoutOfGit(t *testing.T) {
	f := withPolicies(t, "{dirs: [{path: checkout/current}]}")
	c := newCheckout(t, filepath.Join(filepath.Dir(f.config), "checkout"))
	c.push(document("orders", all))
	a := startAsked(t, f)
	a.answers(t, "start", "orders: rule_allowed all")
	c.push(document("orders", none))
	a.answers(t, "a commit", "orders: rule_denied none")
	c.push(document("orders", bad))
	a.await(t, documentsMessage)
	a.answers(t, "a bad commit", "orders: rule_denied none")
	c.push(document("orders", all))
	a.answers(t, "fixed", "orders: rule_allowed all")
}
