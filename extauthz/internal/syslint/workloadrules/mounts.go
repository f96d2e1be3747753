package workloadrules

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

var (
	secretMode = registry.Define("secret_mode", finding.Error,
		"A Secret with keys of Meshpass is mounted with a mode that Meshpass rejects, or that its process cannot read.",
		"The keys are not used: the gateway denies every request (no_signing_key, not_configured), and the authorizer does not start.",
		"Mount the Secret with defaultMode: 0440, and set an fsGroup for a user that is not root. Without a mode it is 0644; 440 without the zero is 0670.")
	mountNotFollowed = registry.Define("mount_not_followed", finding.Warning,
		"A file that changes while Meshpass runs is mounted with subPath.",
		"Kubernetes never updates it in a running pod: new keys, revocations, overrides and documents do not arrive, and a withdrawn key stays trusted.",
		"Mount the volume as a folder, without subPath.")
)

var (
	// secretFiles are the members whose files no other user may read.
	secretFiles = []string{"keys.dir", "secretFile", "audit.chain.key", "tls.keyFile", "revocation.redis.passwordFile"}
	// followedFiles are the members whose files are expected to change while the process runs.
	followedFiles = []string{"keys.dir", "trust.*.jwks.file", "policies.dirs.*.path", "policies.overrides", "revocation.file", "edge.policies.*.path"}
)

// checkMount checks how a file or folder that a configuration names gets into its container.
func (c *checker) checkMount(container *model.Container, at *objects.Node, file, member string) {
	mount := container.FindMount(file)
	volume, rest, _ := container.FindVolume(file)
	if volume == nil {
		return
	}
	for _, source := range model.SourcesOf(volume) {
		kind, _, entry := model.SourceOf(source)
		if entry == nil {
			continue
		}
		if slices.Contains(followedFiles, member) && !mount.Find("subPath").IsEmpty() {
			c.report.Add(mountNotFollowed, mount.Find("subPath"), "%s mounts %s by subPath", container.Title, member)
		}
		if kind == "Secret" && slices.Contains(secretFiles, member) && c.hasFile(container, entry, rest, volume) {
			c.checkMode(container, at, member, volume, entry, rest)
		}
	}
}

// hasFile reports a source that can have the file: the only one of its volume, or one that lists it, or a Secret of the input with this key.
func (c *checker) hasFile(container *model.Container, entry *objects.Node, file string, volume *objects.Node) bool {
	if volume.Find("projected") == nil || len(model.SourcesOf(volume)) == 1 || itemOf(entry, file) != nil {
		return true
	}
	if !entry.Find("items").IsEmpty() {
		return false
	}
	for _, o := range c.OfKind(objects.Core, "Secret") {
		if o.Name == entry.Find("name").String() && o.Namespace == container.Namespace {
			return o.Root.Find("data").Find(file) != nil || o.Root.Find("stringData").Find(file) != nil
		}
	}
	secrets := 0
	for _, source := range model.SourcesOf(volume) {
		if kind, _, _ := model.SourceOf(source); kind == "Secret" {
			secrets++
		}
	}
	return secrets == 1 // a file of no Secret would be no secret
}

func itemOf(entry *objects.Node, file string) *objects.Node {
	for _, item := range entry.Find("items").Entries() {
		if path.Clean(item.Find("path").String()) == path.Clean(file) {
			return item
		}
	}
	return nil
}

// checkMode compares the mode of a file with what Meshpass accepts, and with the user of the process. Kubelet gives the files to root, and with an
// fsGroup to this group, which may then read them.
func (c *checker) checkMode(container *model.Container, at *objects.Node, member string, volume, entry *objects.Node, file string) {
	node := entry.Find("defaultMode")
	if projected := volume.Find("projected"); projected != nil {
		node = projected.Find("defaultMode")
	}
	if item := itemOf(entry, file).Find("mode"); item != nil {
		node = item
	}
	mode, valid := parseMode(node)
	if !valid {
		return
	}
	place := cmp.Or(node, volume)
	switch {
	case mode&0o006 != 0:
		c.report.Add(secretMode, place, "%s: %s has the mode %04o: others than its owner and group may read or write it", container.Title, member, mode)
	case mode&0o020 != 0:
		c.report.Add(secretMode, place, "%s: %s has the mode %04o: its group may write it", container.Title, member, mode)
	case c.isUnreadable(container):
		c.report.Add(secretMode, place, "%s: %s belongs to root, and the process is the user %s without fsGroup", container.Title, member, userOf(container).String())
	}
}

// parseMode reads a mode as Kubernetes does: YAML's octal forms, and decimal. Without a mode it is 0644.
func parseMode(n *objects.Node) (mode int64, valid bool) {
	if n.IsEmpty() {
		return 0o644, true
	}
	text, base := n.String(), 10
	if rest, octal := strings.CutPrefix(text, "0o"); octal {
		text, base = rest, 8
	} else if strings.HasPrefix(text, "0") {
		base = 8
	}
	mode, err := strconv.ParseInt(text, base, 32)
	return mode, err == nil && n.Kind == objects.Number
}

// userOf is the user of a container, if it is written; the image has it otherwise.
func userOf(container *model.Container) *objects.Node {
	if own := container.Node.FindPath("securityContext", "runAsUser"); own != nil {
		return own
	}
	return container.Security.Find("runAsUser")
}

// isUnreadable reports a process that is neither root nor in a group that may read the file.
func (c *checker) isUnreadable(container *model.Container) bool {
	group := container.Node.FindPath("securityContext", "runAsGroup")
	if group == nil {
		group = container.Security.Find("runAsGroup")
	}
	if container.Namespace == "" { // Helm values: Tyk's chart sets an fsGroup itself
		return false
	}
	return userOf(container).Int() > 0 && container.Security.Find("fsGroup") == nil && (group == nil || group.Int() != 0) &&
		container.Security.Find("supplementalGroups").IsEmpty()
}
