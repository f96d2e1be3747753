package schema

import (
	"errors"
	"os"

	"istio.io/istio/manifests"
	"istio.io/istio/pkg/config/crd"
)

// istioDefinitions is what Istio's chart "base" installs.
const istioDefinitions = "charts/base/files/crd-all.gen.yaml"

func istioKinds() (v *crd.Validator, err error) {
	text, err := manifests.FS.ReadFile(istioDefinitions)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "istio-*.yaml") // the validator reads nothing but files
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(file.Name())) }()
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return crd.NewValidatorFromFilesWithOptions([]string{file.Name()}, crd.WithoutCRDValidation())
}
