package identity

import (
	"errors"
	"fmt"
	"strings"
)

// Workload names a workload of the mesh in the form that policies write:
// "ns/shop/sa/orders" in the local trust domain or one of its aliases, the
// whole "spiffe://…" id elsewhere. Empty means that there is none.
type Workload string

// ErrNotSPIFFE says that a peer's name is not a SPIFFE id: a DNS name or an
// X.509 subject, which Envoy reports when a certificate has no URI SAN.
var ErrNotSPIFFE = errors.New("not a SPIFFE id")

// TrustDomains says which trust domains are this mesh.
type TrustDomains struct {
	Local   string   // for example cluster.local
	Aliases []string // former or equivalent names of Local
}

// ParseWorkload reads a SPIFFE id as a mesh certificate carries it. Ids are compared
// as literal strings from here on: a dot in a service account's name is a dot.
func (t TrustDomains) ParseWorkload(id string) (Workload, error) {
	if id == "" {
		return "", nil
	}
	rest, ok := strings.CutPrefix(id, "spiffe://")
	domain, path, found := strings.Cut(rest, "/")
	if !ok || !found || !validSegment(domain) || !validPath(path) {
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

// isWorkloadPath recognises Istio's form, ns/NAMESPACE/sa/ACCOUNT.
func isWorkloadPath(path string) bool {
	s := strings.Split(path, "/")
	return len(s) == 4 && s[0] == "ns" && s[2] == "sa"
}

func validPath(path string) bool {
	for _, segment := range strings.Split(path, "/") {
		if !validSegment(segment) {
			return false
		}
	}
	return true
}

// validSegment is the character set of the SPIFFE ID standard, section 2.
func validSegment(s string) bool {
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
