package localmesh

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/meshpass/meshpass/e2e/localmesh/topologies"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
)

const gatewayAudit = "tyk.audit.log"

// gateway is a Tyk gateway. If there are several, each has a folder of its own for its files: its home.
type gateway struct {
	topologies.Gateway
	database int    // of Redis, counted from the first one of the run
	url      string // for clients
	control  string // URL of its control API
	secret   string // of its control API, new in each run
	apis     []api
}

// GatewayURL is the URL of the (first) gateway for clients.
func (m *Mesh) GatewayURL() string { return m.gateways[0].url }

// readGateways reads the addresses of the topology's gateways from their configuration.
func (m *Mesh) readGateways() error {
	for i, g := range m.topology.Gateways {
		data, err := os.ReadFile(m.filePath(g.Home, "tyk.conf"))
		if err != nil {
			return err
		}
		var listen struct {
			Address string `json:"listen_address"`
			Port    int    `json:"listen_port"`
			Control int    `json:"control_api_port"`
		}
		if err := json.Unmarshal(data, &listen); err != nil {
			return fmt.Errorf("tyk.conf of %s: %w", g.Name, err)
		}
		at := func(port int) string { return fmt.Sprintf("http://%s:%d", listen.Address, port) }
		m.gateways = append(m.gateways, &gateway{Gateway: g, database: i, url: at(listen.Port), control: at(listen.Control), secret: rand.Text()})
	}
	return nil
}

// findGateway finds a gateway by its name. The empty name is the first gateway.
func (m *Mesh) findGateway(name string) (*gateway, error) {
	for _, g := range m.gateways {
		if name == "" || g.Name == name {
			return g, nil
		}
	}
	return nil, fmt.Errorf("no gateway is named %q", name)
}

// egressProxyURL is the proxy for the gateway's calls, instead of interception and DNS: its sidecar,
// or outside the mesh the load balancer.
func (m *Mesh) egressProxyURL(g *gateway) string {
	if sidecar, ok := m.workloads[g.Name]; ok {
		return sidecar.ProxyURL()
	}
	return "http://" + m.addressOf(balancerHost, balancerPort)
}

func (m *Mesh) startGateways(ctx context.Context) error {
	for _, g := range m.gateways {
		if err := m.startGateway(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

func (m *Mesh) startGateway(ctx context.Context, g *gateway) error {
	bin, err := repo.BinDir()
	if err != nil {
		return err
	}
	// Tyk looks for plugins and templates below its working directory.
	for link, target := range map[string]string{"plugins": "plugins", "templates": "tyk-templates"} {
		if err := os.Symlink(filepath.Join(bin, target), m.filePath(g.Home, link)); err != nil {
			return err
		}
	}
	return m.startProgram(ctx, process.Spec{
		Name:   "tyk",
		Args:   []string{"--conf", "tyk.conf"},
		Dir:    g.Home,
		Stdout: gatewayAudit,
		Env:    m.buildEnvironment(g),
	}, "build", g.checkLoaded)
}

func (m *Mesh) buildEnvironment(g *gateway) []string {
	env := []string{
		"MESHPASS_CONFIG=" + m.filePath(g.Home, "identity.yaml"),
		"TYK_GW_SECRET=" + g.secret,
		"TYK_GW_NODESECRET=" + g.secret,
		"TYK_GW_STORAGE_HOST=" + m.redis.host,
		"TYK_GW_STORAGE_PORT=" + m.redis.port,
		"TYK_GW_STORAGE_DATABASE=" + strconv.Itoa(m.redis.database+g.database),
		// The API definitions use these variables for the identity provider.
		"IDP_ISSUER=" + m.issuerURL(),
		"IDP_JWKS=" + base64.StdEncoding.EncodeToString([]byte(m.issuerURL()+"/keys")), // in Tyk 5.9 and later, a plain URL works once
	}
	if _, ok := m.findIngress(); ok {
		env = append(env, "SSL_CERT_FILE="+m.filePath(publicCA)) // the gateway's roots for the certificates of upstreams
	}
	return env
}

// checkLoaded is nil once every API answers: Tyk's own /hello is green before its APIs are loaded.
// A request without a credential is denied, which shows that the API is loaded.
func (g *gateway) checkLoaded(ctx context.Context) error {
	for _, api := range g.apis {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+api.Proxy.ListenPath, nil)
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
