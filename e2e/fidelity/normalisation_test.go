package fidelity_test

import "testing"

// TestNormalisation shows the other settings of meshConfig.pathNormalization; the
// manifest has BASE, which TestEnvoy/paths shows. Under each of them
// what is seen arrives.
func TestNormalisation(t *testing.T) {
	settings := []string{"NONE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"}
	rows := []struct {
		sent string
		seen [3]string // under each setting; empty: Envoy answers 400
	}{
		{"/a/../b", [3]string{"/a/../b", "/b", "/b"}},
		{"/a/..;x=y/b", [3]string{"/a/..;x=y/b", "/b", "/b"}},
		{"/%41", [3]string{"/%41", "/A", "/A"}},
		{`/a\b`, [3]string{`/a\b`, "/a/b", "/a/b"}},
		{"//a", [3]string{"//a", "/a", "/a"}},
		{"/a//b", [3]string{"/a//b", "/a/b", "/a/b"}},
		{"/a%2fb", [3]string{"/a%2fb", "/a%2fb", "/a/b"}},
		{"/a/..%2fb", [3]string{"/a/..%2fb", "/a/..%2fb", "/b"}},
		{"/a%5cb", [3]string{"/a%5cb", "/a%5cb", "/a/b"}},
		{"/a%252fb", [3]string{"/a%252fb", "/a%252fb", "/a%252fb"}}, // nothing is decoded twice
		{"/a#b", [3]string{"/a", "/a", "/a"}},
		{"/a;b", [3]string{"/a;b", "/a;b", "/a;b"}},
		{"/a%00b", [3]string{"/a%00b", "", ""}},
	}
	for i, setting := range settings {
		t.Run(setting, func(t *testing.T) {
			r := newRig(t, fromIstiod("normalization: BASE", "normalization: "+setting))
			e := &alone{rig: r, recorder: newRecorder(t, r.authorizerAddress())}
			for _, row := range rows {
				e.testSpelling(t, row.sent, row.seen[i])
			}
			if setting == "NONE" {
				e.testUnescapedPath(t)
			}
		})
	}
}

// testUnescapedPath is why NONE is not for a mesh with Meshpass: HTTP/2 carries
// such bytes, the Check has "!" for them, and a rule would see another path than
// the workload.
func (e *alone) testUnescapedPath(t *testing.T) {
	_, v := e.tryH2(t, usual("GET", "/a\xff"))
	asked, arrived := v.passed(t)
	equal(t, "seen", asked.GetPath(), "/a!")
	equal(t, "arrived", arrived.target(), "/a\xff")
}
