package e2e_test

import (
	"archive/zip"
	"cmp"
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/meshpass/meshpass/e2e/localmesh"
)

// TestBundleWithoutHooks: a gateway that verifies signatures runs an API by a bundle whose manifest has lost its hooks. The
// first hop denies. e2e/gateway has the gateway's side, with bundles that `meshpass tyk bundle build` has made.
func TestBundleWithoutHooks(t *testing.T) {
	mesh := start(t, localmesh.Options{Prepare: func(dir string) error {
		public, err := writeHooklessBundle(filepath.Join(dir, "hookless.zip"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "bundle-key.pub"), public, 0o600); err != nil {
			return err
		}
		return cmp.Or(
			editJSON(filepath.Join(dir, "tyk.conf"), func(conf map[string]any) {
				conf["enable_bundle_downloader"], conf["bundle_base_url"], conf["public_key_path"] = true, "file://"+dir, "bundle-key.pub"
			}),
			editJSON(filepath.Join(dir, "apis", "orders-jwt.json"), func(api map[string]any) {
				delete(api, "custom_middleware")
				api["custom_middleware_bundle"] = "hookless.zip"
			}))
	}})
	playAll(t, mesh, "bundle-without-hooks")
}

// writeHooklessBundle writes a bundle with one file, a valid signature and no hooks, and gives the public key.
func writeHooklessBundle(path string) (public []byte, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	content := []byte("any file")
	hash := sha256.Sum256(content)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, hash[:])
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal(map[string]any{
		"file_list": []string{"file"}, "custom_middleware": map[string]any{"driver": "goplugin"},
		"checksum": fmt.Sprintf("%x", md5.Sum(content)), "signature": base64.StdEncoding.EncodeToString(signature),
	})
	if err != nil {
		return nil, err
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	archive := zip.NewWriter(file)
	for name, text := range map[string][]byte{"file": content, "manifest.json": manifest} {
		entry, err := archive.Create(name)
		if err != nil {
			return nil, err
		}
		if _, err := entry.Write(text); err != nil {
			return nil, err
		}
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), cmp.Or(err, archive.Close())
}

// editJSON changes a JSON file.
func editJSON(path string, change func(map[string]any)) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	change(object)
	text, err = json.MarshalIndent(object, "", "  ")
	return cmp.Or(err, os.WriteFile(path, text, 0o644))
}
