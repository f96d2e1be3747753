package identity

import (
	"errors"
	"fmt"
	"strings"
)

// Workload is the name of a caller or a callee: ns/NAMESPACE/sa/ACCOUNT for a workload of
// the mesh, the whole spiffe://DOMAIN/PATH for another one, or one of the forms of a callee
// such as service/NAMESPACE/NAME. It is empty if the workload is not known.
type Workload string

// ErrNotSPIFFE is the error for a name that is not a SPIFFE id. Envoy reports a DNS name or
// an X.509 subject if a certificate has no URI SAN.
var ErrNotSPIFFE = errors.New("not a SPIFFE id")

// TrustDomains are the trust domains of the mesh.
type TrustDomains struct {
	Local   string   // for example cluster.local
	Aliases []string // former or equivalent names of Local
}

// ParseWorkload reads a SPIFFE id, as a certificate of the mesh has it. The empty text is
// the empty Workload. Names are compared byte by byte from here on: a dot in the name of a
// service account is a dot. The error is [ErrNotSPIFFE].
func (t TrustDomains) ParseWorkload(id string) (Workload, error) {
	if id == "" {
		return "", nil
	}
	rest, ok := strings.CutPrefix(id, "spiffe://")
	domain, path, found := strings.Cut(rest, "/")
	if !ok || !found || !isValidSegment(domain) || !isValidPath(path) {
		return "", fmt.Errorf("%w: %.256q", ErrNotSPIFFE, id)
	}
	if t.isLocal(domain) && isWorkloadPath(path) {
		return Workload(path), nil
	}
	return Workload(id), nil
}

func (t TrustDomains) isLocal(domain string) bool {
	if t.Local == "" {
		return false
	}
	for _, alias := range t.Aliases {
		if alias == domain {
			return true
		}
	}
	return domain == t.Local
}

// isWorkloadPath reports whether a path has Istio's form, ns/NAMESPACE/sa/ACCOUNT.
func isWorkloadPath(path string) bool {
	namespace, isNamespaced := strings.CutPrefix(path, "ns/")
	_, rest, found := strings.Cut(namespace, "/")
	account, isAccount := strings.CutPrefix(rest, "sa/")
	return isNamespaced && found && isAccount && !strings.Contains(account, "/")
}

func isValidPath(path string) bool {
	for {
		segment, rest, more := strings.Cut(path, "/")
		if !isValidSegment(segment) {
			return false
		}
		if !more {
			return true
		}
		path = rest
	}
}

// isValidSegment checks the characters of a trust domain or of a segment of the path
// (SPIFFE ID standard, section 2).
func isValidSegment(s string) bool {
	if s == "" || s == "." || s == ".." {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
