package trust_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/trust"
	"github.com/meshpass/meshpass/extauthz/internal/trust/jwks"
	"github.com/meshpass/meshpass/shared/keyset"
)

// Keys of an unknown kind are counted for a set of a file and for one at a URL, and
// the keys beside them are used.
func TestSkippedKeysAreCounted(t *testing.T) {
	withUnknown := func(keys *keyset.PublicKeys, count int) []byte {
		set, err := keyset.MarshalJWKS(keys)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Replace(set, []byte("["), append([]byte("["), bytes.Repeat([]byte(`{"kty":"AKP"},`), count)...), 1)
	}
	file, remote := trustIn(t, "https://file"), trustIn(t, "https://remote")
	keys, err := keyset.ParseJWKS(withUnknown(file.Keys, 1))
	if err != nil {
		t.Fatal(err)
	}
	set := withUnknown(remote.Keys, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }))
	t.Cleanup(server.Close)
	file.Keys, remote.Keys = keys, nil
	r := newRegistry(t)
	err = r.Apply(t.Context(), []trust.Entry{
		ofFile(file),
		{Trust: remote, Remote: &jwks.Config{Issuer: remote.Issuer, URL: server.URL, Refresh: time.Hour, MaxStale: time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, i := range r.Issuers() {
		got += fmt.Sprintf("%s %d of %d; ", i.Name, i.Keys, i.Keys+i.Skipped)
	}
	if want := "https://file 1 of 2; https://remote 1 of 3; "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
