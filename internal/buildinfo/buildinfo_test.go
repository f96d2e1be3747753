package buildinfo_test

import (
	"os/exec"
	"testing"
)

// TestStamps: a build writes its names by these flags, which Dockerfile.authz, plugins/build.sh and `make release` have too.
func TestStamps(t *testing.T) {
	const into = "-X github.com/meshpass/meshpass/internal/buildinfo."
	for name, row := range map[string]struct{ flags, want string }{
		"release": {
			"-ldflags=" + into + "version=v1.2.3 " + into + "revision=abc " + into + "date=2026-11-30T00:00:00Z " + into + "tykRelease=v5.8.1",
			"{Version:v1.2.3 Revision:abc Date:2026-11-30T00:00:00Z TykRelease:v5.8.1}\n{Version:v1.2.3 Revision:abc Date:2026-11-30T00:00:00Z TykRelease:v5.8.1}\n",
		},
		"no stamps": {"-ldflags=-s", "{Version: Revision: Date: TykRelease:}\n{Version:(devel) Revision: Date: TykRelease:}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.Command("go", "run", "-buildvcs=false", row.flags, "./testdata/program").CombinedOutput()
			if err != nil || string(out) != row.want {
				t.Errorf("got %v and\n%s\nwant\n%s", err, out, row.want)
			}
		})
	}
}
