package localmesh

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/meshpass/meshpass/internal/subnet"
)

// api is the part of a Tyk API definition that we read.
type api struct {
	ID    string `json:"api_id"`
	Name  string `json:"name"`
	Proxy struct {
		ListenPath string `json:"listen_path"`
	} `json:"proxy"`
}

// writeAPIs copies the API definitions as shipped, and replaces the interception by a sidecar with
// an HTTP proxy: calls leave through the gateway's Envoy. A gateway outside the mesh has targets of
// its own.
func (m *Mesh) writeAPIs(g *gateway) error {
	names, err := filepath.Glob(filepath.Join(m.root, "manifests", "tyk", "apis", "*.json"))
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errors.New("no API definitions in manifests/tyk/apis")
	}
	for _, name := range names {
		if err := m.writeAPI(g, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (m *Mesh) writeAPI(g *gateway, name string) error {
	shipped, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	shipped = subnet.Localise(shipped, m.net.Prefix())
	var known api
	if err := json.Unmarshal(shipped, &known); err != nil {
		return err
	}
	g.apis = append(g.apis, known)
	for from, to := range g.Targets {
		shipped = bytes.ReplaceAll(shipped, quoteJSON(from), quoteJSON(to))
	}
	local, err := setProxyURL(shipped, m.egressProxyURL(g))
	if err != nil {
		return err
	}
	return os.WriteFile(m.filePath(g.Home, "apis", filepath.Base(name)), local, 0o644)
}

// quoteJSON gives a text as a string of JSON.
func quoteJSON(text string) []byte { return []byte(`"` + text + `"`) }

// setProxyURL sets proxy.transport.proxy_url and changes nothing else.
func setProxyURL(definition []byte, proxyURL string) ([]byte, error) {
	var whole map[string]any
	if err := json.Unmarshal(definition, &whole); err != nil {
		return nil, err
	}
	proxy, ok := whole["proxy"].(map[string]any)
	if !ok {
		return nil, errors.New("not a classic API definition: it has no proxy")
	}
	transport, ok := proxy["transport"].(map[string]any)
	if !ok {
		transport = map[string]any{}
		proxy["transport"] = transport
	}
	transport["proxy_url"] = proxyURL
	return json.MarshalIndent(whole, "", "  ")
}
