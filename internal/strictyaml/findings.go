package strictyaml

import (
	"maps"
	"reflect"
	"slices"
)

// Findings are what a check of a configuration finds, without its use.
type Findings struct {
	Problems   Problems // the configuration is rejected because of them
	Warnings   Problems
	NotChecked Problems // what only its use can show
}

// KeysOf lists the keys of a struct type.
func KeysOf(t reflect.Type) []string { return slices.Sorted(maps.Keys(fieldsOf(t))) }
