package main

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
)

// staticCall is a call of an API that asks for nothing but a certificate of its list. There Tyk calls only
// the post hook.
func staticCall() *call {
	c := callWith(tykapi.MethodMTLS)
	c.session = nil
	c.api.UseKeylessAccess, c.api.UseStandardAuth, c.api.UseMutualTLSAuth = true, false, true
	c.api.ClientCertificates = []string{"demo" + tykapi.Fingerprint(c.request())}
	return c
}

func TestStaticMutualTLS(t *testing.T) {
	p := startRig(t, "secretFile:", kindsText)
	fingerprint := tykapi.Fingerprint(staticCall().request())
	victim := &x509.Certificate{Raw: []byte("another"), NotAfter: newLeaf().NotAfter}
	rows := []struct {
		name   string
		change func(*call)
		status int // 0: signed
		reason decision.Reason
	}{
		{"listed", func(*call) {}, 0, ""},
		{"not listed", func(c *call) { c.api.ClientCertificates = nil }, 401, decision.ClaimsUnbound},
		{"a listed one in its chain", func(c *call) { c.certificates = []*x509.Certificate{victim, newLeaf()} }, 401, decision.ClaimsUnbound},
		{"none", func(c *call) { c.certificates = nil }, 401, decision.ClaimsUnbound},
		{"an ignored endpoint", func(c *call) { c.ignored = true }, 401, decision.NoSession},
		{"a foreign target", func(c *call) { c.api.Proxy.TargetURL = foreign }, 500, decision.UpstreamRefused},
		{"about to end", func(c *call) {
			c.certificates = []*x509.Certificate{{Raw: newLeaf().Raw, NotAfter: time.Now().Add(2 * time.Second)}}
		}, 401, decision.CredentialExpiring},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := staticCall()
			row.change(c)
			r := c.request()
			rw := p.callGuardOnly(r)
			if row.status != 0 {
				requireDenied(t, p, r, rw, row.status, row.reason)
				return
			}
			claims := requireSigned(t, p, r, rw)
			if claims.Subject != "mtls:"+fingerprint || claims.Tctx["auth"] != "mtls" {
				t.Errorf("got %s by %v, want mtls:%s", claims.Subject, claims.Tctx["auth"], fingerprint)
			}
		})
	}
	t.Run("keyless without certificates", func(t *testing.T) {
		c := staticCall()
		c.api.UseMutualTLSAuth, c.api.Proxy.TargetURL = false, foreign
		r := c.request()
		requireUnsigned(t, p, r, p.callGuardOnly(r))
	})
}
