package model

import (
	"path"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// Container is a container with the volumes of its pod, as a workload or Helm values write them.
type Container struct {
	Node      *objects.Node // for a finding about what it lacks
	Namespace string
	Title     string
	Security  *objects.Node // securityContext of the pod
	mounts    []*objects.Node
	volumes   []*objects.Node
}

// ContainerOf gives a container of a workload.
func (w *Workload) ContainerOf(n *objects.Node) *Container {
	return &Container{
		Node: n, Namespace: w.Namespace, Title: w.Title(), Security: w.PodSpec.Find("securityContext"), mounts: n.Find("volumeMounts").Entries(), volumes: w.PodSpec.Find("volumes").Entries(),
	}
}

// Container gives the gateway's container; nil: the input has its configuration alone.
func (g *TykGateway) Container() *Container {
	switch {
	case g == nil:
		return nil
	case g.Workload != nil:
		for _, c := range g.Workload.PodSpec.Find("containers").Entries() {
			if g.Image != nil && c == g.Image.Parent() || tykImage.MatchString(c.Find("image").String()) {
				return g.Workload.ContainerOf(c)
			}
		}
		return nil
	case g.Values != nil:
		return &Container{
			Node: g.Values, Title: "the gateway's Helm values", mounts: g.Values.Find("extraVolumeMounts").Entries(), volumes: g.Values.Find("extraVolumes").Entries(),
		}
	}
	return nil
}

// ResolvePath gives the path of a file that a program finds in a folder, if its name is not absolute.
func ResolvePath(folder, file string) string {
	if path.IsAbs(file) {
		return file
	}
	return path.Join(folder, file)
}

// Argument gives the value of a flag, in the forms --NAME VALUE, --NAME=VALUE and -NAME=VALUE.
func Argument(container *objects.Node, name string) (value string, at *objects.Node) {
	words := append(slices.Clone(container.Find("command").Entries()), container.Find("args").Entries()...)
	for i, word := range words {
		text, isFlag := strings.CutPrefix(strings.TrimPrefix(word.String(), "-"), "-"+name)
		if !isFlag {
			text, isFlag = strings.CutPrefix(word.String(), "-"+name)
		}
		switch {
		case !isFlag:
		case strings.HasPrefix(text, "="):
			return text[1:], word
		case text == "" && i+1 < len(words):
			return words[i+1].String(), words[i+1]
		}
	}
	return "", nil
}

// Volumes gives the volumes that the container mounts, and mounts without a volume.
func (c *Container) Volumes() (volumes, unknown []*objects.Node) {
	for _, m := range c.mounts {
		if v := c.findVolume(m.Find("name").String()); v != nil {
			volumes = append(volumes, v)
		} else {
			unknown = append(unknown, m)
		}
	}
	return volumes, unknown
}

func (c *Container) findVolume(name string) *objects.Node {
	for _, v := range c.volumes {
		if v.Find("name").String() == name {
			return v
		}
	}
	return nil
}

// FindVolume gives the volume that a container mounts at a path, or above it, and the path in the volume; nil: no mount covers it. known is false
// for a mount whose folder of the volume is a variable.
func (c *Container) FindVolume(file string) (volume *objects.Node, rest string, known bool) {
	mount := c.FindMount(file)
	if mount == nil {
		return nil, "", true
	}
	rest = strings.Trim(strings.TrimPrefix(path.Clean(file), path.Clean(mount.Find("mountPath").String())), "/")
	return c.findVolume(mount.Find("name").String()), strings.Trim(path.Join(mount.Find("subPath").String(), rest), "/"), mount.Find("subPathExpr").IsEmpty()
}

// FindMount gives the mount at a path, or the nearest one above it; nil: the path is in the image.
func (c *Container) FindMount(file string) (mount *objects.Node) {
	file = path.Clean(file)
	for _, each := range c.mounts {
		at := path.Clean(each.Find("mountPath").String())
		if (file == at || strings.HasPrefix(file, strings.TrimSuffix(at, "/")+"/")) && (mount == nil || len(at) > len(path.Clean(mount.Find("mountPath").String()))) {
			mount = each
		}
	}
	return mount
}

// ConfigMapsAt gives the names of the ConfigMaps whose keys are the files of a folder.
func (c *Container) ConfigMapsAt(folder string) (names []string) {
	volume, rest, _ := c.FindVolume(folder)
	if volume == nil || rest != "" {
		return nil
	}
	for _, source := range SourcesOf(volume) {
		if kind, name, _ := SourceOf(source); kind == "ConfigMap" {
			names = append(names, name)
		}
	}
	return names
}

// NamesAt gives the names, below a folder, of the files that a key of a ConfigMap becomes there: with items in the volume, only listed keys do.
func (c *Container) NamesAt(folder, configMap, key string) (names []string) {
	volume, rest, _ := c.FindVolume(folder)
	for _, source := range SourcesOf(volume) {
		kind, name, entry := SourceOf(source)
		if kind != "ConfigMap" || name != configMap {
			continue
		}
		items := entry.Find("items").Entries()
		if len(items) == 0 && rest == "" {
			names = append(names, key)
		}
		for _, item := range items {
			at, isBelow := strings.CutPrefix("/"+path.Clean(item.Find("path").String()), strings.TrimSuffix("/"+rest, "/")+"/")
			if isBelow && item.Find("key").String() == key {
				names = append(names, at)
			}
		}
	}
	return names
}

// Presence is whether a container has a file.
type Presence int

// The answers. Unknown means that the input does not have the ConfigMap or Secret, or that programs write into the volume.
const (
	Absent Presence = iota
	Present
	Unknown
)

// FindFile looks for a file, or for a folder, in the volumes of a container. A path outside of all volumes is in the image, where only the
// programs are. content is the file in a ConfigMap or Secret that the path leads to; nil: it is not known.
func (m *Model) FindFile(c *Container, file string, isFolder bool) (found Presence, content *objects.Content) {
	volume, rest, known := c.FindVolume(file)
	switch {
	case volume == nil:
		return Absent, nil
	case !known:
		return Unknown, nil
	}
	if rest == "" || rest == "." {
		return Present, nil // the folder of the volume itself
	}
	for _, source := range SourcesOf(volume) {
		presence, holder := m.presenceIn(c.Namespace, source, rest, isFolder)
		switch presence {
		case Present:
			return Present, holder
		case Unknown:
			found = Unknown
		case Absent:
		}
	}
	return found, nil
}

// presenceIn looks for a file in one source of a volume.
func (m *Model) presenceIn(namespace string, source *objects.Node, file string, isFolder bool) (Presence, *objects.Content) {
	kind, name, entry := SourceOf(source)
	if entry == nil {
		return Unknown, nil
	}
	key, listed := file, entry.Find("items")
	if !listed.IsEmpty() {
		i := slices.IndexFunc(listed.Entries(), func(n *objects.Node) bool {
			at := path.Clean(n.Find("path").String())
			return at == file || isFolder && strings.HasPrefix(at, file+"/")
		})
		if i < 0 {
			return Absent, nil
		}
		key = listed.Entries()[i].Find("key").String()
	} else if isFolder || strings.Contains(file, "/") {
		return Absent, nil // keys are names of files
	}
	holder := m.findHolder(kind, namespace, name)
	if holder == nil {
		return Unknown, nil
	}
	for _, section := range []string{"data", "stringData", "binaryData"} {
		if holder.Root.Find(section).Find(key) != nil {
			return Present, m.contentOf(holder, key)
		}
	}
	return Absent, nil
}

// SourcesOf gives the parts of a volume.
func SourcesOf(volume *objects.Node) []*objects.Node {
	if projected := volume.Find("projected"); projected != nil {
		return projected.Find("sources").Entries()
	}
	return []*objects.Node{volume}
}

// SourceOf gives the ConfigMap or Secret of a volume, or of a part of a projected one. entry is nil for other kinds of volumes.
func SourceOf(source *objects.Node) (kind, name string, entry *objects.Node) {
	if n := source.Find("configMap"); n != nil {
		return "ConfigMap", n.Find("name").String(), n
	}
	if n := source.Find("secret"); n != nil {
		if name = n.Find("secretName").String(); name == "" {
			name = n.Find("name").String()
		}
		return "Secret", name, n
	}
	return "", "", nil
}

// findHolder finds a ConfigMap or Secret. Without a namespace, an object of any namespace counts.
func (m *Model) findHolder(kind, namespace, name string) *objects.Object {
	for _, o := range m.OfKind(objects.Core, kind) {
		if o.Name == name && (o.Namespace == namespace || namespace == "") {
			return o
		}
	}
	return nil
}

func (m *Model) contentOf(holder *objects.Object, key string) *objects.Content {
	for _, c := range m.Set.Contents {
		if c.Holder == holder.Name && c.Name == key && (c.Namespace == holder.Namespace) {
			return c
		}
	}
	return nil
}
