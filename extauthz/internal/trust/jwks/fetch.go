package jwks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/transport"
	"github.com/meshpass/meshpass/shared/keyset"
)

// document is an answer of the server.
type document struct {
	body        []byte
	notModified bool               // status 304: the same as the last good document
	etag        string             // empty: the server sent no ETag
	maxAge      time.Duration      // of Cache-Control; 0: not sent
	keys        *keyset.PublicKeys // set once the body has been parsed
}

// requestDocument sends one request. etag is that of the last good document, or empty.
func requestDocument(ctx context.Context, c Config, timeout time.Duration, etag string) (document, error) {
	client, err := newClient(c.CAFile, timeout)
	if err != nil {
		return document{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return document{}, err
	}
	request.Header.Set("accept", "application/jwk-set+json, application/json")
	request.Header.Set("accept-encoding", "identity") // without the header, any coding would be acceptable (RFC 9110 section 12.5.3)
	if etag != "" {
		request.Header.Set("if-none-match", etag)
	}
	response, err := client.Do(request)
	if err != nil {
		return document{}, err
	}
	defer response.Body.Close()
	return readResponse(response, etag != "")
}

// readResponse reads a response. conditional: the request named an ETag.
func readResponse(response *http.Response, conditional bool) (document, error) {
	got := document{etag: response.Header.Get("etag"), maxAge: parseMaxAge(response.Header.Get("cache-control"))}
	switch {
	case response.StatusCode == http.StatusNotModified && conditional:
		got.notModified = true
		return got, nil
	case response.StatusCode != http.StatusOK:
		return got, fmt.Errorf("status %s", response.Status)
	}
	if coding := findContentCoding(response.Header); coding != "" { // the decoded content may be of any size
		return got, fmt.Errorf("content coding %.32q, although accept-encoding asks for identity: configure the server to send the set without a coding", coding)
	}
	var err error
	got.body, err = io.ReadAll(io.LimitReader(response.Body, keyset.MaxSetBytes+1))
	return got, err
}

// findContentCoding returns the first coding that changes the bytes of the content;
// empty: there is no such coding (RFC 9110 section 8.4: a list, in one header or several).
func findContentCoding(header http.Header) string {
	for _, line := range header.Values("content-encoding") {
		for coding := range strings.SplitSeq(line, ",") {
			if coding = strings.Trim(coding, " \t"); coding != "" && !strings.EqualFold(coding, "identity") {
				return coding
			}
		}
	}
	return ""
}

// newClient makes a client for one fetch, so that a renewed CA file is used at once. It
// reads no settings from the environment, so it uses no proxy.
func newClient(caFile string, timeout time.Duration) (*http.Client, error) {
	roots, err := transport.Roots(caFile)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: requireSameHost,
		Transport: &http.Transport{
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableCompression:     true,
			DisableKeepAlives:      true, // the next fetch is minutes away
			MaxResponseHeaderBytes: 64 << 10,
		},
	}, nil
}

const maxRedirects = 3

// requireSameHost follows redirects on the same host only: the configuration decides
// which host is asked, and the server does not.
func requireSameHost(next *http.Request, before []*http.Request) error {
	first := before[0].URL
	switch {
	case len(before) > maxRedirects:
		return errors.New("too many redirects")
	case next.URL.Scheme != first.Scheme || next.URL.Host != first.Host:
		return fmt.Errorf("redirect to another host, %s, is not followed", next.URL.Host)
	}
	return nil
}

// parseMaxAge reads max-age of a Cache-Control header (RFC 9111 section 5.2.2.1); 0: it
// is absent or invalid.
func parseMaxAge(header string) time.Duration {
	for directive := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if !strings.EqualFold(name, "max-age") {
			continue
		}
		if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
			return time.Duration(seconds) * time.Second
		}
	}
	return 0
}
