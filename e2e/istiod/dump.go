package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// dump writes what each node would be sent now, one file per workload.
func dump(ctx context.Context, o options) error {
	nodes, err := readNodes(o.nodes)
	if err != nil {
		return err
	}
	files, err := o.source.load()
	if err != nil {
		return err
	}
	m, err := parse(files)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	return control(ctx, options{listen: "127.0.0.1:0"}, m, func(at net.Addr) error {
		defer end()
		var errs []error
		for name, node := range nodes {
			got, err := fetch(ctx, at.String(), node)
			if err == nil {
				err = writeConfig(filepath.Join(o.out, name+".json"), got)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
		return errors.Join(errs...)
	})
}

// proxyConfig is one Envoy's whole configuration. Versions and nonces are not
// part of it: they differ from run to run. Secrets are not either: Envoy asks
// another server for them.
type proxyConfig struct {
	Clusters  []json.RawMessage `json:"clusters"`
	Endpoints []json.RawMessage `json:"endpoints"`
	Listeners []json.RawMessage `json:"listeners"`
	Routes    []json.RawMessage `json:"routes"`
}

func writeConfig(path string, config any) error {
	data, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// encode returns JSON without the spaces that protojson varies on purpose.
func encode(m proto.Message) (json.RawMessage, error) {
	data, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	err = json.Compact(&compact, data)
	return compact.Bytes(), err
}
