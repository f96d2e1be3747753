package localmesh

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestThroughProxy(t *testing.T) {
	tests := []struct{ name, definition, want string }{
		{"no transport yet", `{"api_id":"a","proxy":{"listen_path":"/a/"}}`, `{
  "api_id": "a",
  "proxy": {
    "listen_path": "/a/",
    "transport": {
      "proxy_url": "http://proxy"
    }
  }
}`},
		{"its transport stays", `{"proxy":{"transport":{"ssl_min_version":771}}}`, `{
  "proxy": {
    "transport": {
      "proxy_url": "http://proxy",
      "ssl_min_version": 771
    }
  }
}`},
	}
	for _, test := range tests {
		got, err := setProxyURL([]byte(test.definition), "http://proxy")
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	if _, err := setProxyURL([]byte(`{}`), "http://proxy"); err == nil {
		t.Error("a definition without a proxy was accepted")
	}
}
