package main

import (
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/kubeclient"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// systemInput is the input of commands that read Tyk, Istio and policies as one system.
type systemInput struct {
	files, overlays []string
	ignored         []string
	context         string
	kubeconfig      string
	cluster         bool
	secrets         bool
}

func (i *systemInput) addFlags(cmd *cobra.Command) {
	addFileFlag := func(into *[]string, name, letter, kind, usage string) {
		value := &flagValue{kind: kind, set: func(text string) error {
			*into = append(*into, text)
			return nil
		}}
		cmd.Flags().VarP(value, name, letter, usage+"; may be given several times")
	}
	addFileFlag(&i.files, "file", "f", "FILE|DIR|-", "a file, all files *.yaml, *.yml, *.json and *.conf below a folder, or standard input")
	addFileFlag(&i.overlays, "kustomize", "k", "DIR", "a kustomize overlay, rendered as kubectl does")
	addFunc(cmd, "context", "NAME", "", "the objects of a cluster, by a context of the kubeconfig; \"\" is the current one", func(text string) error {
		i.context, i.cluster = text, true
		return nil
	})
	addText(cmd, &i.kubeconfig, "kubeconfig", "FILE", "the kubeconfig for --context")
	cmd.Flags().BoolVar(&i.secrets, "include-secrets", false, "read Secrets of the cluster too; without it, none is read")
	addList(cmd, &i.ignored, "ignore-kind", "KIND.GROUP", "accept objects of a kind that no check knows")
}

func (i systemInput) validate(cmd *cobra.Command) error {
	switch {
	case len(i.files)+len(i.overlays) == 0 && !i.cluster:
		return newUsageError(cmd, "%s needs an input: -f FILE, -k DIR or --context NAME", commandName(cmd))
	case !i.cluster && (i.secrets || i.kubeconfig != ""):
		return newUsageError(cmd, "--include-secrets and --kubeconfig need --context")
	}
	return checkStdin(cmd, i.files...)
}

// read reads all inputs, and reports progress if that takes seconds.
func (i systemInput) read(cmd *cobra.Command) (*objects.Set, error) {
	// The input stays in memory until the end. Fewer collections cost less, and the limit keeps a large input below 512 MiB if it can be.
	debug.SetGCPercent(300)
	debug.SetMemoryLimit(384 << 20)
	reader := objects.NewReader()
	reader.IgnoreKinds = i.ignored
	progress := newProgress(cmd)
	reader.Progress = func(read int) { progress("%d objects and files are read", read) }
	for _, dir := range i.overlays {
		if err := reader.ReadOverlay(dir); err != nil {
			return nil, err
		}
	}
	for _, name := range i.files {
		var err error
		if name == "-" {
			err = reader.ReadStream(documentName(name), cmd.InOrStdin())
		} else {
			err = reader.ReadPath(name)
		}
		if err != nil {
			return nil, err
		}
	}
	if i.cluster {
		client, err := kubeclient.New(kubeclient.Config{Kubeconfig: i.kubeconfig, Context: i.context})
		if err != nil {
			return nil, err
		}
		source := "context " + i.context
		if i.context == "" {
			source = "the current context"
		}
		if err := reader.ReadCluster(cmd.Context(), client, source, i.secrets); err != nil {
			return nil, err
		}
	}
	return reader.Set, nil
}

// commandName is the path of a command without the program, such as "routes check".
func commandName(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}
