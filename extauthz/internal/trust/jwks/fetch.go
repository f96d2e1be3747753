package jwks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/transport"
	"github.com/meshpass/meshpass/shared/keyset"
)

// document is an answer of the server.
type document struct {
	body        []byte
	notModified bool   // 304: as the last good one
	etag        string // ETag; empty: none
	maxAge      time.Duration
	keys        *keyset.PublicKeys // what adopt made of it
}

// CheckURL refuses what no set is fetched from: over plain HTTP, unless admitted,
// whoever is on the way could sign for the issuer.
func CheckURL(text string, plain bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("not an absolute URL: write https://HOST/PATH")
	case u.User != nil || u.Fragment != "":
		return errors.New("a URL with a user, a password or a fragment is not used")
	case u.Scheme == "https" || u.Scheme == "http" && plain:
		return nil
	case u.Scheme == "http":
		return errors.New("plain http lets whoever is on the way sign for the issuer: use https, or admit it with insecure.jwksOverHTTP")
	}
	return fmt.Errorf("scheme %q: write https", u.Scheme)
}

func (s *Source) requestDocument(ctx context.Context) (document, error) {
	client, err := s.newClient()
	if err != nil {
		return document{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return document{}, err
	}
	request.Header.Set("accept", "application/jwk-set+json, application/json")
	request.Header.Set("accept-encoding", "identity") // without the header, any coding would be acceptable (RFC 9110 section 12.5.3)
	if s.last.etag != "" {
		request.Header.Set("if-none-match", s.last.etag)
	}
	answer, err := client.Do(request)
	if err != nil {
		return document{}, err
	}
	defer answer.Body.Close()
	return s.readAnswer(answer)
}

func (s *Source) readAnswer(answer *http.Response) (document, error) {
	got := document{etag: answer.Header.Get("etag"), maxAge: parseMaxAge(answer.Header.Get("cache-control"))}
	switch {
	case answer.StatusCode == http.StatusNotModified && s.last.etag != "":
		got.notModified = true
		return got, nil
	case answer.StatusCode != http.StatusOK:
		return got, fmt.Errorf("status %s", answer.Status)
	}
	if coding := findContentCoding(answer.Header); coding != "" { // what is behind it may be of any size
		return got, fmt.Errorf("content coding %.32q, although accept-encoding asks for identity: have the server send the set as it is", coding)
	}
	var err error
	got.body, err = io.ReadAll(io.LimitReader(answer.Body, keyset.MaxSetBytes+1))
	return got, err
}

// findContentCoding gives the first coding of an answer that changes its bytes; empty:
// there is none (RFC 9110 section 8.4: a list, in one header or several).
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

// newClient is made for each fetch, so that a CA file that is renewed is noticed.
// Nothing of it comes from the environment, no proxy either.
func (s *Source) newClient() (*http.Client, error) {
	roots, err := transport.Roots(s.CAFile)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout:       s.bounds.timeout,
		CheckRedirect: requireSameHost,
		Transport: &http.Transport{
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableCompression:     true,
			DisableKeepAlives:      true, // minutes lie between two fetches
			MaxResponseHeaderBytes: 64 << 10,
		},
	}, nil
}

const maxRedirects = 3

// requireSameHost: the configuration says who is asked, and the server does not.
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

// parseMaxAge of a Cache-Control header (RFC 9111 section 5.2.2.1); 0: none that counts.
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
