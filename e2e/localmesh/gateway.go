package localmesh

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/meshpass/meshpass/e2e/process"
	"github.com/meshpass/meshpass/e2e/repo"
)

const (
	gatewayName  = "tyk-gateway"
	gatewayAudit = "tyk.audit.log"
)

// gateway is the running Tyk.
type gateway struct {
	secret string // of its control API, new in each run
	apis   []api
}

// GatewayURL is where clients send to.
func (m *Mesh) GatewayURL() string {
	return fmt.Sprintf("http://%s:%d", m.workloads[gatewayName].Address, inboundPort)
}

func (m *Mesh) startGateway(ctx context.Context) error {
	bin, err := repo.BinDir()
	if err != nil {
		return err
	}
	// Tyk looks for plugins and templates below its working directory.
	for link, target := range map[string]string{"plugins": "plugins", "templates": "tyk-templates"} {
		if err := os.Symlink(filepath.Join(bin, target), m.path(link)); err != nil {
			return err
		}
	}
	m.gateway.secret = rand.Text()
	return m.startProgram(ctx, process.Spec{
		Name:   "tyk",
		Args:   []string{"--conf", "tyk.conf"},
		Stdout: gatewayAudit,
		Env: []string{
			"MESHPASS_CONFIG=" + m.path("identity.yaml"),
			"TYK_GW_SECRET=" + m.gateway.secret,
			"TYK_GW_NODESECRET=" + m.gateway.secret,
			"TYK_GW_STORAGE_HOST=" + m.redis.host,
			"TYK_GW_STORAGE_PORT=" + m.redis.port,
			"TYK_GW_STORAGE_DATABASE=" + strconv.Itoa(m.redis.database),
			// The API definitions name the identity provider by these.
			"IDP_ISSUER=" + m.issuer(),
			"IDP_JWKS=" + base64.StdEncoding.EncodeToString([]byte(m.issuer()+"/keys")), // from Tyk 5.9 on, a plain URL works once
		},
	}, "build", m.gatewayServes)
}

// gatewayServes is true once every API answers: Tyk's own /hello is green before its APIs are
// loaded. An API without a credential refuses, which shows that it is there.
func (m *Mesh) gatewayServes(ctx context.Context) error {
	for _, api := range m.gateway.apis {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.GatewayURL()+api.Proxy.ListenPath, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		if err := response.Body.Close(); err != nil {
			return err
		}
		if response.StatusCode == http.StatusNotFound {
			return fmt.Errorf("%s is not loaded: %s answers %s", api.Name, api.Proxy.ListenPath, response.Status)
		}
	}
	return nil
}
