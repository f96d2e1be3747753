package app

import (
	"fmt"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/testhelp/lockedbuffer"
)

// gitServer is a repository with one document, which git itself serves.
type gitServer struct {
	t         *testing.T
	git, work string // the program; where commits are made
	url       string
}

func newGitServer(t *testing.T) gitServer {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("NOT RUN: documents of a Git server: needs git")
	}
	g := gitServer{t: t, git: git, work: t.TempDir()}
	server := httptest.NewServer(&cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + g.work, "GIT_HTTP_EXPORT_ALL=1"}})
	t.Cleanup(server.Close)
	g.url = server.URL + "/.git"
	g.run(g.work, "init", "--quiet", "--initial-branch=main")
	return g
}

// withoutSettings keeps git from reading the settings of the user of the test.
var withoutSettings = []string{
	"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
	"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com",
}

func (g gitServer) run(dir string, args ...string) string {
	g.t.Helper()
	cmd := exec.Command(g.git, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), withoutSettings...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		g.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit commits the document, and returns the name of the commit.
func (g gitServer) commit(content string) string {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.work, "orders.yaml"), []byte(content), 0o600); err != nil {
		g.t.Fatal(err)
	}
	g.run(g.work, "add", "orders.yaml")
	g.run(g.work, "commit", "--quiet", "--message=change")
	return g.run(g.work, "rev-parse", "HEAD")
}

// checkout is a clone with the layout of git-sync: each revision has a worktree of its own, a change swaps the link to it, and the
// worktree before is removed. [TestGitSync] has the program git-sync itself.
type checkout struct {
	gitServer
	clone  string // what the authorizer reads
	before string // the worktree of the link
}

func newCheckout(t *testing.T, clone string) *checkout {
	t.Helper()
	c := &checkout{gitServer: newGitServer(t), clone: clone}
	c.run(c.work, "commit", "--quiet", "--allow-empty", "--message=begin")
	c.run(filepath.Dir(clone), "clone", "--quiet", "--no-checkout", c.url, clone)
	return c
}

// push commits a document, and brings the clone to that revision.
func (c *checkout) push(content string) {
	c.t.Helper()
	c.commit(content)
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

// TestGitSync is [TestACheckoutOfGit] with git-sync itself. Each set that becomes active is that of one commit, and the status names it.
func TestGitSync(t *testing.T) {
	gitSync, err := filepath.Abs("../../../bin/git-sync")
	if _, missing := os.Stat(gitSync); err != nil || missing != nil {
		t.Skip("NOT RUN: documents by the program git-sync: needs make bin/git-sync, which make test does not build")
	}
	f := withPolicies(t, "{dirs: [{path: git/current, name: shop}]}")
	g := newGitServer(t)
	first := g.commit(document("orders", all))
	root := filepath.Join(filepath.Dir(f.config), "git")
	arguments := []string{"--repo=" + g.url, "--ref=main", "--root=" + root, "--link=current"}
	runGitSync(t, gitSync, append(arguments, "--one-time")...) // as an init container
	a := startAsked(t, f)
	a.answers(t, "start", "orders: rule_allowed all")
	a.readFrom(t, first)
	startGitSync(t, gitSync, append(arguments, "--period=100ms")...)
	second := g.commit(document("orders", none))
	a.answers(t, "a commit", "orders: rule_denied none")
	a.readFrom(t, second)
	g.commit(document("orders", bad))
	a.await(t, documentsMessage)
	a.answers(t, "a bad commit", "orders: rule_denied none")
	last := g.commit(document("orders", all))
	a.answers(t, "fixed", "orders: rule_allowed all")
	a.readFrom(t, last)

	// Commits that change many files at once, faster than git-sync and the authorizer follow.
	generations := []string{a.wanted(t)}
	before := len(a.log.String())
	for i := range 10 {
		rules := []string{all, none}[i%2]
		for n := range 50 {
			if err := os.WriteFile(filepath.Join(g.work, fmt.Sprintf("other-%d.yaml", n)), []byte(document(fmt.Sprintf("other-%d", n), rules)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		g.run(g.work, "add", "--all")
		last = g.commit(document("orders", rules))
		if i < 2 || i == 9 { // the two contents that follow each other
			a.readFrom(t, last)
			generations = append(generations, a.wanted(t))
		}
	}
	reloads := regexp.MustCompile(`"policies reloaded".*?"generation":"(\w+)"`).FindAllStringSubmatch(a.log.String()[before:], -1)
	for _, reload := range reloads {
		if !slices.Contains(generations, reload[1]) {
			t.Errorf("generation %s is of no commit: %q", reload[1], generations)
		}
	}
	if len(reloads) < 3 {
		t.Errorf("%d reloads", len(reloads))
	}
}

func newGitSync(t *testing.T, program string, args ...string) (*exec.Cmd, *lockedbuffer.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(append(os.Environ(), withoutSettings...), "HOME="+t.TempDir())
	out := &lockedbuffer.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

func runGitSync(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd, out := newGitSync(t, program, args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// startGitSync runs until the end of the test.
func startGitSync(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd, out := newGitSync(t, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Wait() // it ends with the test's context
		if t.Failed() {
			t.Log(out)
		}
	})
}
