package path_test

import (
	"testing"

	"github.com/meshpass/meshpass/shared/policy/path"
)

func TestAmbiguousPaths(t *testing.T) {
	for _, text := range []string{
		"", "*", "a", "http://orders/", "//admin/x", "/a//b", "/x//", "/\\admin", "/a\\b", "/.", "/..", "/a/./b", "/a/../b", "/a/..",
		"/a;x=1", "/..;x=y/admin", "/a#f", "/a?b", "/a b", "/a\x00", "/a\x7f", "/ä", "/a\"b", "/a<b", "/a[0]", "/a{b}", "/a^b", "/a`b", "/a|b",
		"/%2f", "/a%2Fb", "/a%5cb", "/a%5Cb", "/a%25b", "/a%2500", "/a%00", "/a%0a", "/a%1f", "/a%7f", "/%41", "/%7e", "/%2e%2e/b", "/%2E", "/a%2d",
		"/a%", "/a%4", "/a%zz", "/a%u002f", "/%c0%af", "/%ff", "/%e0%80%af",
		"/a%3Bb", "/a%3b", "/%3B", "/..%3B/b", "/.%3b", "/a/%3Bx=y/b", "/a%3Fb", "/a%3f", "/a%23b", "/%23", "/a%3F/../b", "/a/b%3Fc/d",
		"/..%20/b", "/%20../b", "/.%20", "/%20.%20/b", "/a%20", "/%20a", "/%20", "/a/%20/b", "/a%20/b", "/%20...", "/a%C2%85", "/a%c2%80b",
	} {
		if path.Check(text) == nil {
			t.Errorf("%q is admitted", text)
		}
	}
	for _, text := range []string{
		"/", "/a", "/a/", "/a/b", "/a.b", "/...", "/a..b", "/..a", "/a%20b", "/a%20%20b", "/a%3ab", "/a%C2%A0", "/a%2Cb%3Dc", "/a%40b", "/%E2%80%A6", "/%EF%BC%8F", "/%c3%a4", "/a:b@c", "/a,b=c+d!$&'()*", "/~user/_x-y",
	} {
		if err := path.Check(text); err != nil {
			t.Errorf("%q is refused: %v", text, err)
		}
	}
}
