package gateway_test

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A client may write a whole URL into the request line (RFC 9112 section 3.2.2). To Tyk its scheme tyk is an
// internal loop: a client that may call one API reaches every other one by its id.
func TestLoopThatTheClientNames(t *testing.T) {
	keyless := `{"use_keyless": true, "use_standard_auth": false}`
	r := start(t, setup{apis: []definition{{"named-tyk", `{}`, true}, {"named-ours", `{}`, false}, {"named-hidden", keyless, true}}}).serving(t)
	for path, want := range map[string]answer{
		"named-hidden/named-tyk/": {200, "", theirs}, "named-hidden/named-ours/": {200, "", none},
		"nowhere/named-tyk/": {500, "{\n    \"error\": \"Can\\'t detect loop target\"\n}", unreached},
	} {
		if got := r.sendAbsolute(t, "tyk://"+path); got != want {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
	}
}

// sendAbsolute calls with a request line that net/http would not write.
func (r *rig) sendAbsolute(t *testing.T, url string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	must(t, err)
	defer conn.Close()
	id := rand.Text()
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: gateway\r\nAuthorization: %s\r\nX-Request-Id: %s\r\nTxn-Token: %s\r\nConnection: close\r\n\r\n", url, r.key, id, forged)
	must(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	upstream, _ := r.upstream.saw(t, id)
	return answer{response.StatusCode, says(body), upstream}
}
