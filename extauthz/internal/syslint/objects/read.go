package objects

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/suggest"
)

// MaxFileBytes is the largest size of a file.
const MaxFileBytes = 256 << 20

// Reader reads inputs into a [Set].
type Reader struct {
	Set         *Set
	IgnoreKinds []string // KIND.GROUP that need no check
	Progress    func(read int)
	files       map[string]bool // that were read, by their paths without symbolic links
}

// NewReader reads into an empty set.
func NewReader() *Reader {
	return &Reader{Set: NewSet(), Progress: func(int) {}, files: map[string]bool{}}
}

// ReadPath reads a file, a named pipe, or all YAML and JSON files below a folder. The error is for a path that does not exist.
func (r *Reader) ReadPath(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() == os.ModeNamedPipe { // <(COMMAND) of a shell
		pipe, err := os.Open(path)
		if err != nil {
			return err
		}
		defer pipe.Close()
		return r.ReadStream(path, pipe)
	}
	if !info.IsDir() {
		r.readFile(path, path)
		return nil
	}
	wantedFiles, others := 0, 0
	err = readfile.Walk(readfile.FolderFS(path), func(name string) bool {
		wanted := slices.Contains([]string{".yaml", ".yml", ".json", ".conf"}, filepath.Ext(name))
		if info, err := os.Stat(filepath.Join(path, filepath.FromSlash(name))); !wanted && (err != nil || !info.IsDir()) {
			others++
		}
		return wanted
	}, func(e readfile.Entry) {
		wantedFiles++
		name := filepath.Join(path, filepath.FromSlash(e.Name))
		if e.Err != nil {
			r.Set.addUnchecked(Place{Source: name}, e.Err.Error())
			return
		}
		r.readFile(name, name)
	})
	if others > 0 {
		r.Set.Notes = append(r.Set.Notes, fmt.Sprintf("%s: %d files have other names than *.yaml, *.yml, *.json and *.conf, and were not read", path, others))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil:
		r.Set.addUnchecked(Place{Source: path}, err.Error())
	case wantedFiles == 0:
		r.Set.addUnchecked(Place{Source: path}, "no file *.yaml, *.yml, *.json or *.conf is below this folder")
	}
	return nil
}

// readFile reads a file once: a second time is the same file under another argument.
func (r *Reader) readFile(path, name string) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		if absolute, err := filepath.Abs(target); err == nil {
			if r.files[absolute] {
				r.Set.AddNote(name + " is given twice, and was read once")
				return
			}
			r.files[absolute] = true
		}
	}
	text, err := readfile.Read(path, MaxFileBytes)
	if err != nil {
		r.Set.addUnchecked(Place{Source: name}, strings.TrimPrefix(err.Error(), "open "+path+": "))
		return
	}
	r.ReadText(name, text)
}

// ReadStream reads standard input or a named pipe.
func (r *Reader) ReadStream(name string, from io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(from, MaxFileBytes+1))
	if err == nil && len(text) > MaxFileBytes {
		err = fmt.Errorf("more than %d bytes", MaxFileBytes)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.ReadText(name, text)
	return nil
}

// ReadText reads the documents of a text.
func (r *Reader) ReadText(name string, text []byte) {
	roots, failures := parseText(Document{Source: name}, text)
	r.Set.Unchecked = append(r.Set.Unchecked, failures...)
	if len(roots)+len(failures) == 0 {
		r.Set.addUnchecked(Place{Source: name}, "it is empty")
	}
	for _, root := range roots {
		r.addRoot(root, filepath.Base(name))
	}
}

// addRoot adds a document: an object, a list of objects, or a file of another kind.
func (r *Reader) addRoot(root *Node, name string) {
	if root.Kind == Map && (root.Find("kind") != nil && root.Find("apiVersion") != nil) {
		r.addObject(root)
		return
	}
	if root.Find("openapi") != nil && root.Find("x-tyk-api-gateway") == nil {
		r.Set.addUnchecked(root.Place(), "an OpenAPI document without x-tyk-api-gateway: import it into Tyk (POST /tyk/apis/oas/import) and check the result")
		return
	}
	if r.addDashboardList(root, name) {
		return
	}
	kind := recognise(name, root)
	if kind == unknown {
		reason := "no Kubernetes object (apiVersion and kind), and no file that Tyk, Istio or Meshpass reads"
		if root.Find("kind") != nil {
			reason = "kind without apiVersion"
		}
		r.Set.addUnchecked(root.Place(), reason)
		return
	}
	r.addContent(&Content{Kind: kind, Root: root, Name: name})
}

// addDashboardList adds what the Dashboard answers to GET /api/apis and GET /api/portal/policies.
func (r *Reader) addDashboardList(root *Node, name string) bool {
	apis, policies := root.Find("apis").Entries(), root.Find("Data")
	document := root.document
	detach := func(n *Node) *Node {
		copied := *document
		copied.text = nil // it is a part of the text
		n.parent, n.document = nil, &copied
		return n
	}
	switch {
	case len(apis) > 0 && !slices.ContainsFunc(apis, func(n *Node) bool { return n.Find("api_definition") == nil }):
		for _, n := range apis {
			r.addContent(&Content{Kind: ClassicAPI, Root: detach(n), Name: name})
		}
	case len(policies.Entries()) > 0 && !slices.ContainsFunc(policies.Entries(), func(n *Node) bool { return !isTykPolicy(n) }):
		r.addContent(&Content{Kind: TykPolicies, Root: detach(policies), Name: name})
	default:
		return false
	}
	return true
}

func (r *Reader) addContent(c *Content) {
	if c.Kind == known {
		return
	}
	if slices.Contains([]ContentKind{TykConfig, ClassicAPI, OpenAPI, TykPolicies}, c.Kind) {
		switch document := c.Root.document; {
		case document.marked:
			r.Set.addUnchecked(c.Root.Place(), "it begins with a byte order mark, which Tyk cannot read: save it as UTF-8 without one")
		case document.isYAML && (strings.HasSuffix(c.Name, ".json") || strings.HasSuffix(c.Name, ".conf")):
			r.Set.addUnchecked(c.Root.Place(), "Tyk reads JSON in UTF-8 only")
		}
	}
	c.Text, c.Line = c.Root.document.text, c.Root.document.line
	r.Set.Contents = append(r.Set.Contents, c)
	r.Progress(len(r.Set.Contents) + len(r.Set.Objects))
}

func (r *Reader) addObject(root *Node) {
	group, version := splitAPIVersion(root.Find("apiVersion").String())
	kind := root.Find("kind").String()
	if items := root.Find("items"); strings.HasSuffix(kind, "List") && items != nil && (group == Core || items.Kind == List) {
		for _, item := range items.Entries() {
			r.addListItem(root, item)
		}
		return
	}
	if slices.Contains(r.IgnoreKinds, kind+"."+group) || group == Core && slices.Contains(r.IgnoreKinds, kind) {
		r.Set.Ignored[kind+"."+group]++
		return
	}
	info, checked := checkedKinds[group][kind]
	if !checked {
		r.addOther(root, group, version, kind)
		return
	}
	if !slices.Contains(strings.Fields(info.versions), version) {
		r.Set.addUnchecked(root.Find("apiVersion").Place(), fmt.Sprintf("%s has no version %q in %s: want %s", kind, version, group, strings.Join(strings.Fields(info.versions), ", ")))
		return
	}
	switch {
	case group == kustomize || kind == "PolicyTest":
		return
	case group == Meshpass:
		r.addContent(&Content{Kind: AccessPolicy, Root: root, Name: filepath.Base(root.document.Source)})
		return
	}
	o := &Object{Root: root, Group: group, Version: version, Kind: kind, Name: root.FindPath("metadata", "name").String(), annotations: root.FindPath("metadata", "annotations")}
	if o.Name == "" && root.FindPath("metadata", "generateName") == nil && group != Install {
		r.Set.addUnchecked(root.Place(), kind+" without metadata.name")
		return
	}
	if !info.cluster {
		if o.Namespace = root.FindPath("metadata", "namespace").String(); o.Namespace == "" {
			o.Namespace = "default"
		}
	}
	root.document.Object = o.Title()
	if !r.checkTexts(root, "labels") || !r.checkTexts(root, "annotations") || !r.checkTemplateTexts(root) {
		return
	}
	o.Labels, o.Annotations = root.FindPath("metadata", "labels").TextMap(), o.annotations.TextMap()
	r.keepLast(o)
	if kind == "ConfigMap" || kind == "Secret" {
		r.unpack(o)
	}
}

// addListItem makes an entry of a list a document of its own.
func (r *Reader) addListItem(list, item *Node) {
	document := *list.document
	document.text = nil // it is a part of the list's text
	item.parent, item.document = nil, &document
	if item.Kind != Map || item.Find("kind") == nil || item.Find("apiVersion") == nil {
		r.Set.addUnchecked(item.Place(), "an entry of a list that is no Kubernetes object")
		return
	}
	r.addObject(item)
}

// keepLast replaces an object that was read before: applying both leaves the last one.
func (r *Reader) keepLast(o *Object) {
	key := o.Group + " " + o.Title()
	if o.Group == Install { // istioctl merges all of them
		key = fmt.Sprint(key, len(r.Set.Objects))
	}
	if at, again := r.Set.known[key]; again {
		before := r.Set.Objects[at]
		r.Set.Notes = append(r.Set.Notes, fmt.Sprintf("%s is in %s and in %s: the second one is checked", o.Title(), before.Root.Place().Source, o.Root.Place().Source))
		if o.Kind == "ConfigMap" || o.Kind == "Secret" {
			r.Set.Contents = slices.DeleteFunc(r.Set.Contents, func(c *Content) bool {
				return c.Root.document.outer != nil && c.Root.document.outer.Root() == before.Root
			})
		}
		r.Set.Objects[at] = o
		return
	}
	r.Set.known[key] = len(r.Set.Objects)
	r.Set.Objects = append(r.Set.Objects, o)
	r.Progress(len(r.Set.Contents) + len(r.Set.Objects))
}

// checkTexts rejects labels and annotations that the API server would reject.
func (r *Reader) checkTexts(root *Node, member string) bool {
	for _, m := range root.FindPath("metadata", member).Members() {
		if m.Kind != Text {
			r.Set.addUnchecked(m.Place(), fmt.Sprintf("metadata.%s: %s has to be text: write it in quotes", member, m.Key))
			return false
		}
	}
	return true
}

func (r *Reader) checkTemplateTexts(root *Node) bool {
	template := root.FindPath("spec", "template")
	if template == nil || template.Kind != Map {
		return true
	}
	return r.checkTexts(template, "labels") && r.checkTexts(template, "annotations")
}

// addOther counts an object that no check reads, or names one whose kind is not known.
func (r *Reader) addOther(root *Node, group, version, kind string) {
	name := kind + "." + group
	switch {
	case (checkedKinds[group] == nil || group == Argo) && slices.Contains(unrelatedGroups, group),
		group == Core && slices.Contains(coreKinds, kind), group == Network && slices.Contains(networkKinds, kind), group == Apps && kind == "ControllerRevision":
		r.Set.Ignored[strings.TrimSuffix(name, ".")]++
		return
	}
	reason := fmt.Sprintf("unknown kind %s of %s", kind, root.Find("apiVersion").String())
	if known := checkedKinds[group]; known != nil {
		var names []string
		for each := range known {
			names = append(names, each)
		}
		reason += suggest.DidYouMean(kind, names)
	} else {
		var groups []string
		for each := range checkedKinds {
			groups = append(groups, each)
		}
		if near := suggest.DidYouMean(group, groups); near != "" {
			reason += near
		} else {
			reason += fmt.Sprintf(": if it concerns no request, write --ignore-kind %s", name)
		}
	}
	_ = version
	r.Set.addUnchecked(root.Place(), reason)
}

// unpack reads the files that a ConfigMap or Secret holds.
func (r *Reader) unpack(o *Object) {
	for _, member := range o.Root.Find("data").Members() {
		text := []byte(member.Value)
		if o.Kind == "Secret" {
			decoded, err := base64.StdEncoding.DecodeString(member.Value)
			if err != nil {
				r.Set.addUnchecked(member.Place(), "data of a Secret has to be base64")
				continue
			}
			text = decoded
		}
		r.unpackText(o, member, text)
	}
	for _, member := range o.Root.Find("stringData").Members() {
		r.unpackText(o, member, []byte(member.Value))
	}
	for _, member := range o.Root.Find("binaryData").Members() {
		if text, err := base64.StdEncoding.DecodeString(member.Value); err == nil {
			r.unpackText(o, member, text)
		}
	}
}

// structured are the names of files that hold YAML or JSON.
var structured = regexp.MustCompile(`\.(ya?ml|json|conf)$`)

func (r *Reader) unpackText(o *Object, member *Node, text []byte) {
	trimmed := bytes.TrimSpace(text)
	isJSON := bytes.HasPrefix(trimmed, []byte("{")) || bytes.HasPrefix(trimmed, []byte("["))
	ofMesh := member.Key == "mesh" && (strings.HasPrefix(o.Name, "istio") || bytes.Contains(text, []byte("extensionProviders:"))) // also a shared one
	isYAML := !isJSON && (ofMesh || structured.MatchString(member.Key) && !strings.HasSuffix(member.Key, ".conf")) || bytes.Contains(trimmed, []byte("x-tyk-api-gateway"))
	if len(trimmed) == 0 || !isJSON && !isYAML {
		return
	}
	document := Document{Source: o.Root.document.Source, Object: o.Title(), Key: member.Key, outer: member, inBlock: o.Kind == "ConfigMap" && bytes.Contains(text, []byte("\n"))}
	roots, failures := parseText(document, text)
	if isJSON && !structured.MatchString(member.Key) && recognisableJSON(text) == "" {
		failures = nil // a text of another program that begins with a bracket
	}
	r.Set.Unchecked = append(r.Set.Unchecked, failures...)
	for _, root := range roots {
		if root.Find("kind") != nil && root.Find("apiVersion") != nil {
			if group, _ := splitAPIVersion(root.Find("apiVersion").String()); group == Meshpass && root.Find("kind").String() == "AccessPolicy" {
				r.addContent(&Content{Kind: AccessPolicy, Root: root, Name: member.Key, Holder: o.Name, Namespace: o.Namespace})
			}
			continue // the objects of an application's own files are not applied
		}
		kind := recognise(member.Key, root)
		if ofMesh {
			kind = MeshConfig
		}
		if kind == unknown || kind == MeshConfig && !ofMesh {
			continue
		}
		r.addContent(&Content{Kind: kind, Root: root, Name: member.Key, Holder: o.Name, Namespace: o.Namespace})
	}
}

// recognisableJSON finds a word in a damaged text that only files of Tyk have.
func recognisableJSON(text []byte) string {
	for _, word := range []string{"x-tyk-api-gateway", "api_id", "listen_path", "access_rights", "app_path"} {
		if bytes.Contains(text, []byte(`"`+word+`"`)) {
			return word
		}
	}
	return ""
}
