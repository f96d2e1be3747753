package objects

import (
	"fmt"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// ReadOverlay renders a kustomize overlay as `kubectl kustomize` does, and reads its objects. Their lines are not known, because an
// object comes from several files.
func (r *Reader) ReadOverlay(dir string) error {
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return fmt.Errorf("kustomize %s: %w", dir, err)
	}
	for _, resource := range rendered.Resources() {
		text, err := resource.MarshalJSON()
		if err != nil {
			r.Set.addUnchecked(Place{Source: dir, Object: resource.GetKind() + " " + resource.GetName()}, err.Error())
			continue
		}
		r.readRendered(dir, text)
	}
	return nil
}

// readRendered reads an object whose text no person wrote.
func (r *Reader) readRendered(source string, text []byte) {
	root, err := parseJSON(Document{Source: source}, part{text: text})
	if err != nil {
		r.Set.addUnchecked(Place{Source: source}, err.Error())
		return
	}
	root.Walk(func(n *Node) bool {
		n.Line, n.Column = 0, 0
		return true
	})
	r.addObject(root)
}
