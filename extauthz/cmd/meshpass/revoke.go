package main

import (
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/revocation/listedit"
	"github.com/meshpass/meshpass/extauthz/internal/revocation/redislist"
	"github.com/meshpass/meshpass/shared/revocation"
)

func newRevoke() *cobra.Command {
	commands := []*cobra.Command{
		newRevokeEntry(revocation.Sub), newRevokeEntry(revocation.SID), newRevokeEntry(revocation.KID), newRevokeEntry(revocation.Txn),
		newRevokeRemove(), newRevokeList(), newRevokeInit(),
	}
	group := newGroup("revoke COMMAND", "End tokens, sessions, users and keys before their time",
		`Puts users, sessions, keys and transactions on the list of revocations, shows the
list, and removes entries. Gateways and authorizers that read the list follow within
2 s. New requests are denied; streams that are open continue.

The list is a file (--file, as revocation.file of the configurations) or a key in
Redis (--redis, as revocation.redis). To revoke again extends the entry. A full list
accepts no more entries, and drops no entry to make room.`, commands...)
	for _, cmd := range append(commands, group) {
		cmd.Annotations = map[string]string{secretArguments: "keys of APIs"}
	}
	return group
}

// revokeCodes ends the help of each command.
const revokeCodes = `

Exit codes: 0 done, or already done; 1 there is no list, no such entry, or the list
is full; 2 it could not be done.`

// revocationList describes the list that a command works on, and the user of the command.
type revocationList struct {
	file   string
	noTLS  bool // to Redis on another machine
	redis  redislist.Config
	by     string
	format *string
}

func addListFlags(cmd *cobra.Command) *revocationList {
	r := &revocationList{by: userAndHost()}
	r.redis.Key = redislist.DefaultKey
	addText(cmd, &r.file, "file", "FILE", "the list is this file")
	addText(cmd, &r.redis.Address, "redis", "HOST:PORT", "the list is in this Redis")
	addText(cmd, &r.redis.Username, "redis-username", "NAME", "the user of Redis")
	addText(cmd, &r.redis.PasswordFile, "redis-password-file", "FILE", "the password of Redis")
	addText(cmd, &r.redis.CAFile, "redis-ca", "FILE", "use TLS, and verify Redis with these CA certificates")
	cmd.Flags().BoolVar(&r.noTLS, "redis-without-tls", false, "connect to another machine without TLS: anyone on the network path can change the list")
	addText(cmd, &r.redis.Key, "redis-key", "NAME", "the key of the list in Redis")
	addText(cmd, &r.by, "by", "NAME", "who makes the change, for the list")
	r.format = addOutput(cmd)
	return r
}

// checkFlags rejects flags that have no effect beside the others.
func (r *revocationList) checkFlags(cmd *cobra.Command) error {
	if r.file != "" {
		for _, name := range []string{"redis-username", "redis-password-file", "redis-ca", "redis-without-tls", "redis-key"} {
			if cmd.Flags().Changed(name) {
				return newUsageError(cmd, "--%s is for --redis, and the list is a file: remove it", name)
			}
		}
		return nil
	}
	switch {
	case r.redis.Username != "" && r.redis.PasswordFile == "":
		return newUsageError(cmd, "--redis-username is not used without a password: name --redis-password-file too, or remove it")
	case r.redis.CAFile != "" && r.redis.IsSocket():
		return newUsageError(cmd, "--redis-ca: a socket of this machine has no TLS: remove it")
	case r.redis.CAFile != "" && r.noTLS:
		return newUsageError(cmd, "--redis-ca and --redis-without-tls: name one of them")
	}
	return nil
}

// userAndHost names the user of the operating system and the machine.
func userAndHost() string {
	host, _ := os.Hostname()
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name + "@" + host
}

// runOnList opens the list, runs a function on it, and prints the result.
func (r *revocationList) runOnList(cmd *cobra.Command, order listedit.Request, do func(listedit.Store, listedit.Request) (answer, error)) error {
	if (r.file == "") == (r.redis.Address == "") {
		return newUsageError(cmd, "name one list, --file or --redis")
	}
	if err := r.checkFlags(cmd); err != nil {
		return err
	}
	var store listedit.Store = listedit.File(r.file)
	if r.file == "" {
		if err := r.redis.CheckAddress(); err != nil {
			return newUsageError(cmd, "--redis: %s", err)
		}
		if err := r.redis.CheckTLS(); err != nil && !r.noTLS {
			return fmt.Errorf("--redis: %w; set --redis-ca, or --redis-without-tls", err)
		}
		remote, err := redislist.OpenStore(r.redis)
		if err != nil {
			return err
		}
		defer func() { _ = remote.Close() }() // all is written
		store = remote
	}
	order.By, order.Now = r.by, time.Now()
	done, err := do(store, order)
	if err != nil {
		return answerNoFor(err, listedit.ErrNotDone, revocation.ErrFull)
	}
	return printAnswer(cmd, done, *r.format)
}
