// Package tykbundle builds and checks plugin bundles of Tyk: zip files with a manifest, which a gateway downloads.
//
// The format is that of Tyk 5.8.1 (cli/bundler, gateway/coprocess_bundle.go). Its checksum and its signature cover the
// files that the manifest lists, and not the manifest: a gateway accepts a bundle whose list of hooks was changed.
package tykbundle

import (
	"bytes"
	"crypto/md5" // the format's checksum; it protects nothing
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/meshpass/meshpass/internal/gateway/hooks"
	"github.com/meshpass/meshpass/internal/strictjson"
)

// manifestName is the name of the manifest in a bundle.
const manifestName = "manifest.json"

// PluginPath is where the hooks of a bundle have the plugin. A gateway of release v5.8.1 on linux/amd64 loads
// identity_v5.8.1_linux_amd64.so from there.
const PluginPath = "identity.so"

// manifest has the members of Tyk's apidef.BundleManifest.
type manifest struct {
	FileList   []string   `json:"file_list"`
	Middleware middleware `json:"custom_middleware"`
	Checksum   string     `json:"checksum"`  // hexadecimal MD5 of the listed files, one after another
	Signature  string     `json:"signature"` // base64, RSA PKCS #1 v1.5 over SHA-256 of the same bytes
}

type middleware struct {
	Pre         []hook `json:"pre"`
	Post        []hook `json:"post"`
	PostKeyAuth []hook `json:"post_key_auth"`
	AuthCheck   hook   `json:"auth_check"`
	Response    []hook `json:"response"`
	Driver      string `json:"driver"`
}

type hook struct {
	Disabled       bool   `json:"disabled"`
	Name           string `json:"name"`
	Path           string `json:"path"`
	RequireSession bool   `json:"require_session"`
	RawBodyOnly    bool   `json:"raw_body_only"`
}

// newManifest lists all three hooks of the plugin.
func newManifest(files []string) manifest {
	return manifest{FileList: files, Middleware: middleware{
		Driver: hooks.Driver,
		Pre:    []hook{{Name: hooks.Strip, Path: PluginPath}}, PostKeyAuth: []hook{{Name: hooks.Sign, Path: PluginPath}}, Post: []hook{{Name: hooks.Guard, Path: PluginPath}},
		Response: []hook{},
	}}
}

// parseManifest reads a manifest. A member whose name occurs twice, or that is unknown, is an error: Tyk might read it in
// another way.
func parseManifest(text []byte) (m manifest, err error) {
	object, err := strictjson.ParseObject(text)
	if err != nil {
		return m, fmt.Errorf("%s: %w", manifestName, err)
	}
	if section, ok := object["custom_middleware"].(map[string]any); ok {
		delete(section, "id_extractor") // it belongs to authentication plugins
	}
	known, err := json.Marshal(object)
	if err != nil {
		return m, err
	}
	decoder := json.NewDecoder(bytes.NewReader(known))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return m, fmt.Errorf("%s: %w", manifestName, err)
	}
	if name := findOtherSpelling(object, m); name != "" {
		return m, fmt.Errorf("%s: the member %q: write it in lower case", manifestName, name)
	}
	return m, nil
}

// findOtherSpelling gives a member whose name differs from Tyk's by the case of letters: encoding/json reads both.
func findOtherSpelling(value any, m any) string {
	canonical, err := json.Marshal(m)
	if err != nil {
		return err.Error()
	}
	var names func(value any) []string
	names = func(value any) (all []string) {
		switch value := value.(type) {
		case map[string]any:
			for name, member := range value {
				all = append(append(all, name), names(member)...)
			}
		case []any:
			for _, item := range value {
				all = append(all, names(item)...)
			}
		}
		return all
	}
	for _, name := range names(value) {
		if !bytes.Contains(canonical, []byte(`"`+name+`":`)) {
			return name
		}
	}
	return ""
}

// listed gives the entries of all lists.
func (m manifest) listed() hooks.Listed {
	listed := hooks.Listed{}
	for list, entries := range map[hooks.List][]hook{
		hooks.Pre: m.Middleware.Pre, hooks.PostAuth: m.Middleware.PostKeyAuth, hooks.Post: m.Middleware.Post,
		hooks.Response: m.Middleware.Response, hooks.AuthCheck: {m.Middleware.AuthCheck},
	} {
		for _, e := range entries {
			listed[list] = append(listed[list], hooks.Entry{Name: e.Name, Path: e.Path, Disabled: e.Disabled})
		}
	}
	return listed
}

// findHookProblems reports why an API with these hooks would not be protected.
func (m manifest) findHookProblems() (problems []string) {
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if m.Middleware.Driver != hooks.Driver {
		report("custom_middleware.driver is %q, with which Tyk runs none of the hooks: write %q", m.Middleware.Driver, hooks.Driver)
	}
	listed := m.listed()
	if text := listed.FindWithoutPath(hooks.ClassicNames); text != "" {
		report("%s", text)
	}
	if text := hooks.FindMisplaced(listed.Working(), hooks.ClassicNames); text != "" {
		report("%s", text)
	}
	for _, name := range []string{hooks.Strip, hooks.Sign, hooks.Guard} {
		list := hooks.ListOf[name]
		at := slices.IndexFunc(listed[list], func(e hooks.Entry) bool { return e.Name == name })
		switch {
		case at < 0:
			report("%s does not list %s: add {\"name\": %q, \"path\": %q}", hooks.ClassicNames[list], name, name, PluginPath)
		case listed[list][at].Disabled:
			report("%s lists %s, and it is disabled: enable it", hooks.ClassicNames[list], name)
		case listed[list][at].Path != PluginPath && listed[list][at].Path != "":
			report("%s lists %s in %q: write the path %q", hooks.ClassicNames[list], name, listed[list][at].Path, PluginPath)
		}
	}
	if !listed.GuardIsLast() {
		report("%s: the last hook must be %s, without which no request gets a token", hooks.ClassicNames[hooks.Post], hooks.Guard)
	}
	return problems
}

// checksumOf is the checksum of the format over the bytes of the listed files.
func checksumOf(content []byte) string {
	sum := md5.Sum(content)
	return hex.EncodeToString(sum[:])
}

var errNoManifest = errors.New("no " + manifestName + " in it: it is no bundle; build one with `meshpass tyk bundle build`")
