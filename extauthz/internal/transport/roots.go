package transport

import (
	"crypto/x509"
	"fmt"

	"github.com/meshpass/meshpass/internal/readfile"
)

// Roots reads the certificates of authorities that a server is checked against, in PEM; nil, of no
// file, stands for the system's.
func Roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	data, err := readfile.Read(file, maxFileBytes)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s: no certificate in PEM", file)
	}
	return roots, nil
}
