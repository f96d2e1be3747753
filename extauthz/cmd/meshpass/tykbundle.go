package main

import (
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/tykbundle"
	"github.com/meshpass/meshpass/internal/atomicfile"
)

func newTykBundle() *cobra.Command {
	return newGroup("bundle COMMAND", "Build and check plugin bundles",
		`Builds and checks plugin bundles, which a Tyk gateway downloads. Tyk's signature covers
the files of a bundle, and not its list of hooks: see docs/bundle.md.`, newTykBundleBuild(), newTykBundleCheck())
}

func newTykBundleBuild() *cobra.Command {
	var keyFile, out string
	var unsigned bool
	cmd := &cobra.Command{
		Use: "build PLUGIN... [flags]", Short: "Build a bundle of plugins for several gateway releases",
		Long: `Builds a bundle with the hooks StripIdentity, SignIdentity and GuardUpstream. PLUGIN is
a file that make plugin has built, such as identity_v5.8.1_linux_amd64.so; a gateway
takes the one for its own release out of the bundle. The same files and the same key
make the same bytes.

Exit codes: 0 fine; 2 nothing was written.`,
		Example: `  meshpass tyk bundle build --key bundle-key.pem --out meshpass.zip bin/plugins/identity_v5.8.1_linux_amd64.so`,
	}
	addText(cmd, &keyFile, "key", "FILE", "the RSA private key that signs, in PEM; the gateway has its public key in public_key_path")
	addText(cmd, &out, "out", "FILE", "the bundle (required)")
	cmd.Flags().BoolVar(&unsigned, "unsigned", false, "do not sign")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return newUsageError(cmd, "tyk bundle build needs at least one PLUGIN")
		case out == "":
			return newUsageError(cmd, "tyk bundle build needs --out FILE")
		case (keyFile == "") != unsigned:
			return newUsageError(cmd, "want --key FILE or --unsigned: a gateway with public_key_path loads no API with an unsigned bundle")
		}
		var key *rsa.PrivateKey
		if keyFile != "" {
			var err error
			if key, err = tykbundle.ReadPrivateKey(keyFile); err != nil {
				return err
			}
		}
		bundle, plugins, err := tykbundle.Build(args, key)
		if err != nil {
			return err
		}
		if err := atomicfile.Write(out, bundle, 0o644); err != nil {
			return err
		}
		report := builtBundle{File: out, SHA256: fmt.Sprintf("%x", sha256.Sum256(bundle)), Signed: key != nil, Plugins: plugins}
		return printReport(cmd, report, report.Print, *format, true)
	}
	return cmd
}

// builtBundle is the answer of tyk bundle build.
type builtBundle struct {
	File    string             `json:"file"`
	SHA256  string             `json:"sha256"`
	Signed  bool               `json:"signed"`
	Plugins []tykbundle.Plugin `json:"plugins"`
}

// Print writes one line, with the releases of gateways that find their plugin in the bundle.
func (b builtBundle) Print(to io.Writer) error {
	var releases []string
	for _, p := range b.Plugins {
		releases = append(releases, fmt.Sprintf("%s (linux/%s, %s)", p.Release, p.Arch, p.Go))
	}
	_, err := fmt.Fprintf(to, "wrote %s for Tyk %s\nsha256 %s\n", b.File, strings.Join(releases, ", "), b.SHA256)
	return err
}

func newTykBundleCheck() *cobra.Command {
	want := tykbundle.Expectation{Arch: "amd64"}
	var keyFile string
	cmd := &cobra.Command{
		Use: "check FILE [flags]", Short: "Check the files, the hooks and the signature of a bundle",
		Long: `Checks a bundle before a gateway loads it: the list of hooks, which Tyk does not verify;
the files and their signature; and that it has the plugin of each gateway. Compare the
printed SHA-256 with the published one.

Exit codes: 0 fine; 1 the bundle must not be used; 2 it could not be read.`,
		Example: `  meshpass tyk bundle check meshpass.zip --public-key bundle-key.pub --gateway v5.8.1`,
	}
	addText(cmd, &keyFile, "public-key", "FILE", "the gateway's public_key_path: the bundle must be signed by this key")
	addFunc(cmd, "gateway", "vX.Y.Z", "", "a gateway that loads the bundle; may be given several times", func(text string) error {
		if !tykbundle.ReleaseName.MatchString(text) {
			return fmt.Errorf("want a release such as v5.8.1")
		}
		want.Releases = append(want.Releases, text)
		return nil
	})
	addChoice(cmd, &want.Arch, "arch", "", "the processor of the gateways", "amd64", "arm64")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return newUsageError(cmd, "tyk bundle check needs one FILE")
		}
		if keyFile != "" {
			var err error
			if want.PublicKey, err = tykbundle.ReadPublicKey(keyFile); err != nil {
				return err
			}
		}
		report, err := tykbundle.Check(args[0], want)
		if err != nil {
			return err
		}
		return printReport(cmd, report, report.Print, *format, report.IsFine())
	}
	return cmd
}
