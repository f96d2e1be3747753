package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/app"
	"github.com/meshpass/meshpass/extauthz/internal/revocation/listedit"
	"github.com/meshpass/meshpass/internal/secretfile"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/revocation"
)

// revocationKinds describes what each kind of entry ends.
var revocationKinds = map[revocation.Kind]struct{ argument, short, long string }{
	revocation.Sub: {"NAMESPACE:ID", "Revoke a user", "Revokes a user: its tokens of an issuer are rejected."},
	revocation.SID: {"[SID]", "Revoke a session", `Revokes a session: SID is 43 characters of base64url, as tokens and audit records have
it. With --secret-file, the session is the one of an API key, which is read from
standard input as Tyk names it. The key is a secret and never an argument.`},
	revocation.KID: {"KID", "Revoke a signing key", `Revokes a signing key: KID is its JWK thumbprint, 43 characters of base64url, as
meshpass keys status shows it.`},
	revocation.Txn: {"TXN", "Revoke a transaction", "Revokes the tokens of one transaction: TXN is a UUID, as in x-meshpass-txn."},
}

// newRevokeEntry puts an entry of a kind on the list.
func newRevokeEntry(kind revocation.Kind) *cobra.Command {
	about := revocationKinds[kind]
	order := listedit.Request{Kind: kind}
	var config, secretFile string
	cmd := &cobra.Command{
		Use:   fmt.Sprintf("%s (--file FILE | --redis HOST:PORT) --issuer URL %s [flags]", kind, about.argument),
		Short: about.short, Long: about.long + revokeCodes, Args: atMostArgs(1),
	}
	if kind != revocation.Txn {
		order.For = -1
		addDuration(cmd, &order.For, "for", forUsage(kind))
	}
	addText(cmd, &order.Issuer, "issuer", "URL", "the issuer of the tokens: the claim iss (required)")
	addText(cmd, &config, "config", "FILE", "the configuration of the authorizer or the plugin: an issuer that is not in it is an error")
	addText(cmd, &order.Reason, "reason", "TEXT", "the reason, for the list")
	if kind == revocation.SID {
		addText(cmd, &secretFile, "secret-file", "FILE", "the secret with which the gateway makes session IDs; the key is read from standard input")
	}
	list := addListFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if order.For < 0 || order.For > listedit.MaxFor {
			return newUsageError(cmd, "revoke %s needs --for, 0s to %s", kind, listedit.MaxFor)
		}
		value, err := readRevoked(cmd, secretFile, args)
		if err != nil {
			return err
		}
		order.Value = value
		if config != "" && order.Issuer != "" {
			trusted, err := app.IssuersOf(config)
			if err == nil {
				err = listedit.CheckIssuer(order.Issuer, trusted)
			}
			if err != nil {
				return err
			}
		}
		if order.Issuer == "" {
			return newUsageError(cmd, "--issuer is missing")
		}
		return list.runOnList(cmd, order, func(s listedit.Store, o listedit.Request) (answer, error) { return listedit.Add(s, o) })
	}
	return cmd
}

func forUsage(kind revocation.Kind) string {
	if kind == revocation.KID {
		return "how long the key counts as revoked, at least until it has left every key set (required)"
	}
	return "how long no token is accepted; 0s ends the tokens that exist now. One minute is added, " +
		"the largest clock difference that a verifier may tolerate (required)"
}

// readRevoked returns the argument, or the session of the key on standard input: an
// argument is visible to every user of the machine, and a key is a secret.
func readRevoked(cmd *cobra.Command, secretFile string, args []string) (string, error) {
	switch {
	case secretFile == "" && len(args) == 1:
		return args[0], nil
	case secretFile == "":
		return "", newUsageError(cmd, "one value is needed")
	case len(args) > 0:
		return "", newUsageError(cmd, "with --secret-file the key comes from standard input, never as an argument")
	}
	data, err := secretfile.Read(secretFile, secretfile.Secret, 64<<10)
	if err != nil {
		return "", err
	}
	secret, err := identity.ParsePseudonymKey(data)
	if err != nil {
		return "", fmt.Errorf("%s: %w", secretFile, err)
	}
	key, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 64<<10))
	if err != nil {
		return "", err
	}
	name := strings.TrimRight(string(key), "\r\n")
	if name == "" {
		return "", errors.New("no key on standard input")
	}
	return secret.Pseudonym(name), nil
}
