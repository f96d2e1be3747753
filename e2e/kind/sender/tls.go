package sender

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// TLS is the client's certificate, and its trusted roots; all PEM.
type TLS struct {
	Cert, Key []byte // absent: it shows no certificate
	Roots     []byte // the authority of the URL's host; absent: the host is within a mesh
}

func (t *TLS) config() (*tls.Config, error) {
	config := &tls.Config{}
	if t.Cert != nil {
		own, err := tls.X509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{own}
	}
	if t.Roots == nil {
		// The mesh's certificates hold no host name to compare with; the server's identity is not
		// what is tested. By the protocol's name Envoy tells the mesh's TLS from any other.
		config.InsecureSkipVerify, config.NextProtos = true, []string{"istio"}
		return config, nil
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(t.Roots) {
		return nil, errors.New("the roots hold no certificate")
	}
	return config, nil
}
