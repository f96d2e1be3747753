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

func (t *TLS) newConfig() (*tls.Config, error) {
	config := &tls.Config{}
	if t.Cert != nil {
		own, err := tls.X509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{own}
	}
	if t.Roots == nil {
		// The mesh's certificates have no host name to compare, and the server's identity is not tested
		// here. By the name of the protocol Envoy recognises the TLS of the mesh.
		config.InsecureSkipVerify, config.NextProtos = true, []string{"istio"}
		return config, nil
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(t.Roots) {
		return nil, errors.New("the roots contain no certificate")
	}
	return config, nil
}
