package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/shared/audit"
)

func newAuditKeys() *cobra.Command {
	return newGroup("keys COMMAND", "Make the key that signs checkpoints",
		"Makes the key that signs the checkpoints of audit records: audit.chain.key in the configuration.", newAuditKeysNew())
}

func newAuditKeysNew() *cobra.Command {
	cmd := &cobra.Command{
		Use: "new FILE [flags]", Short: "Make a key: FILE, and its public half FILE.pub", Args: atMostArgs(1),
		Long: `Makes an Ed25519 key. FILE is the private key, readable for its owner only: give it to the
authorizer or to the plugin, and to nothing else. FILE.pub is for people who verify records,
and is kept as long as the records are. An existing file is never replaced.

Exit codes: 0 done; 2 it could not be done.`,
	}
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return newUsageError(cmd, "audit keys new needs the name of a file, FILE")
		}
		made, err := makeChainKey(args[0])
		if err != nil {
			return err
		}
		return printAnswer(cmd, made, *format)
	}
	return cmd
}

// madeKey is the answer of `audit keys new`.
type madeKey struct {
	Private string `json:"private"` // file
	Public  string `json:"public"`  // file
	Key     string `json:"key"`     // as checkpoints name it
}

func (m madeKey) Print(to io.Writer) error {
	_, err := fmt.Fprintf(to, "made %s and %s\nkey %s\nwrite audit: {chain: {key: %s}}, and keep %s with the records\n", m.Private, m.Public, m.Key, m.Private, m.Public)
	return err
}

func makeChainKey(name string) (madeKey, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return madeKey{}, err
	}
	privateText, publicText, err := audit.FormatChainKey(key)
	if err != nil {
		return madeKey{}, err
	}
	made := madeKey{Private: name, Public: name + ".pub", Key: audit.CheckpointKeyID(public)}
	if err := writeNewFile(made.Private, privateText, 0o600); err != nil {
		return madeKey{}, err
	}
	if err := writeNewFile(made.Public, publicText, 0o644); err != nil {
		return madeKey{}, errors.Join(err, os.Remove(made.Private))
	}
	return made, nil
}

// writeNewFile writes a file that must not exist.
func writeNewFile(name string, text []byte, perm fs.FileMode) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists: a key is never replaced, name another file", name)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}
