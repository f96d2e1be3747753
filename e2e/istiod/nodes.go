package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
)

var workloadName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// readNodes reads Envoy node objects, as in a bootstrap's "node", keyed by
// their metadata's WORKLOAD_NAME: it names the dump's file.
func readNodes(path string) (map[string]*core.Node, error) {
	paths := []string{path}
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.IsDir() {
		if paths, err = filepath.Glob(filepath.Join(path, "*.json")); err != nil || len(paths) == 0 {
			return nil, fmt.Errorf("%s: no *.json with a proxy's node in this folder", path)
		}
	}
	files, err := readAll(paths)
	if err != nil {
		return nil, err
	}
	nodes := map[string]*core.Node{}
	for _, f := range files {
		if err := addNode(nodes, f); err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return nodes, nil
}

func addNode(nodes map[string]*core.Node, f file) error {
	node := &core.Node{}
	if err := protojson.Unmarshal(f.data, node); err != nil {
		return err
	}
	name := node.GetMetadata().GetFields()["WORKLOAD_NAME"].GetStringValue()
	if !workloadName.MatchString(name) {
		return fmt.Errorf("metadata.WORKLOAD_NAME %q is not a workload's name", name)
	}
	if nodes[name] != nil {
		return fmt.Errorf("a second node of workload %q", name)
	}
	nodes[name] = node
	return nil
}
