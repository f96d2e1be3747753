package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// maxAnswer bounds an answer; the listeners of an Envoy in a large mesh are the largest.
const maxAnswer = 64 << 20 // bytes

// answer is that of one address.
type answer struct {
	from             Address
	err              error // no answer
	status           int
	body             []byte
	date             time.Time // by the clock of the part; zero: it did not say
	asked, completed time.Time // by the clock of this machine
}

// directClient uses no proxy of the environment and follows no redirect.
var directClient = &http.Client{
	Transport:     &http.Transport{Proxy: nil, DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// get requests one path of an address.
func get(ctx context.Context, at Address, path string, timeout time.Duration) answer {
	got := answer{from: at}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.URL+path, nil)
	if err != nil {
		got.err = err
		return got
	}
	client := at.Client
	if client == nil {
		client = directClient
	}
	got.asked = time.Now()
	response, err := client.Do(request)
	got.completed = time.Now()
	if err != nil {
		got.err = withoutURL(err, timeout)
		return got
	}
	defer response.Body.Close()
	got.status = response.StatusCode
	got.date, _ = http.ParseTime(response.Header.Get("Date")) // absent or unreadable: zero
	if got.body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer)); err != nil {
		got.err = withoutURL(err, timeout)
	}
	if got.status == http.StatusBadRequest && bytes.Contains(got.body, []byte("sent an HTTP request to an HTTPS server")) { // of Go's server
		got.err = errWantsTLS
	}
	return got
}

// withoutURL shortens an error of the client, because lines name the address.
func withoutURL(err error, timeout time.Duration) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("none within %s", timeout)
	}
	return err
}

// decode reads a JSON body with status 200.
func (a answer) decode(into any) error {
	if a.err != nil {
		return fmt.Errorf("no answer: %w", a.err)
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("the answer is %d %s", a.status, http.StatusText(a.status))
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("the answer is not the expected JSON: %w", err)
	}
	return nil
}

// ErrNotReached is wrapped by errors of an [Address.Client] that could not open a way to the part, so that nothing is known
// about it.
var ErrNotReached = errors.New("not reached")

// errWantsTLS is the answer of a part that speaks TLS to a request without it.
var errWantsTLS = errors.New("it answers with TLS only")

// adviseTransport is the next step if the way of asking is wrong, and not the part; empty: it is not.
func adviseTransport(err error) string {
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errWantsTLS):
		return "write its address as https://HOST:PORT"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it answers without TLS: write its address as http://HOST:PORT"
	case errors.As(err, &certificate):
		return "name the file of its authority in the variable SSL_CERT_FILE, and the part by a name of its certificate"
	}
	return ""
}

// newFailedLine is the line of a part that does not answer as expected. It names what is not known therefore: other checks
// have no line for that part.
func newFailedLine(check string, subject Address, err error, unknown, do string) Line {
	detail := fmt.Sprintf("%s; not known: %s", err, unknown)
	if errors.Is(err, ErrNotReached) {
		return Line{check, subject.String(), NotChecked, detail, "docs/doctor.md#rights"}
	}
	if advice := adviseTransport(err); advice != "" {
		return Line{check, subject.String(), NotChecked, detail, advice}
	}
	return Line{check, subject.String(), Wrong, detail, do}
}
