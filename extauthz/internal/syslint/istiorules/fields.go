package istiorules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	meshv1alpha1 "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"
	telemetry "istio.io/api/telemetry/v1alpha1"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/suggest"
)

var fieldUnknown = registry.Define("field_unknown", finding.Error,
	"An object of Istio has a field that Istio does not have, or a value of another kind.",
	"The API server drops or rejects the field: a selector that is mistyped selects every workload, a setting has no effect.",
	"Correct the name of the field.")

// messages are the types of Istio's API (istio.io/api), by group and kind.
var messages = map[string]proto.Message{
	"security.istio.io/AuthorizationPolicy":   &security.AuthorizationPolicy{},
	"security.istio.io/PeerAuthentication":    &security.PeerAuthentication{},
	"security.istio.io/RequestAuthentication": &security.RequestAuthentication{},
	"networking.istio.io/VirtualService":      &networking.VirtualService{},
	"networking.istio.io/DestinationRule":     &networking.DestinationRule{},
	"networking.istio.io/Gateway":             &networking.Gateway{},
	"networking.istio.io/ServiceEntry":        &networking.ServiceEntry{},
	"networking.istio.io/Sidecar":             &networking.Sidecar{},
	"networking.istio.io/WorkloadEntry":       &networking.WorkloadEntry{},
	"networking.istio.io/WorkloadGroup":       &networking.WorkloadGroup{},
	"networking.istio.io/EnvoyFilter":         &networking.EnvoyFilter{},
	"telemetry.istio.io/Telemetry":            &telemetry.Telemetry{},
}

// checkFields compares objects and MeshConfigs with the types of Istio's API.
func (c *checker) checkFields() {
	for _, o := range c.Set.Objects {
		if message := messages[o.Group+"/"+o.Kind]; message != nil {
			c.checkMembers(o)
			c.checkMessage(o.Spec(), message.ProtoReflect().Descriptor())
		}
	}
	mesh := (&meshv1alpha1.MeshConfig{}).ProtoReflect().Descriptor()
	for _, each := range c.Meshes {
		for _, layer := range each.Layers() {
			c.checkMessage(layer, mesh)
		}
	}
}

// checkMembers finds members beside spec.
func (c *checker) checkMembers(o *objects.Object) {
	known := []string{"apiVersion", "kind", "metadata", "spec", "status"}
	for _, m := range o.Root.Members() {
		if !slices.Contains(known, m.Key) {
			c.report.Add(fieldUnknown, m, "%s is no field of %s%s", m.Key, o.Title(), suggest.DidYouMean(m.Key, known))
		}
	}
}

func (c *checker) checkMessage(n *objects.Node, descriptor protoreflect.MessageDescriptor) {
	if n == nil || strings.HasPrefix(string(descriptor.FullName()), "google.protobuf.") {
		return
	}
	if n.Kind != objects.Map {
		if n.Kind != objects.Null {
			c.report.Add(fieldUnknown, n, "want an object, not %q", n.String())
		}
		return
	}
	fields := descriptor.Fields()
	for _, m := range n.Members() {
		field := fields.ByJSONName(m.Key) // the API server knows no other name
		if field == nil {
			var names []string
			for i := range fields.Len() {
				names = append(names, fields.Get(i).JSONName())
			}
			c.report.Add(fieldUnknown, m, "%s is no field of %s%s", m.Key, descriptor.Name(), suggest.DidYouMean(m.Key, names))
			continue
		}
		c.checkField(m, field)
	}
}

func (c *checker) checkField(n *objects.Node, field protoreflect.FieldDescriptor) {
	switch {
	case n.Kind == objects.Null:
	case field.IsMap():
		for _, m := range n.Members() {
			c.checkValue(m, field.MapValue())
		}
	case field.IsList():
		if n.Kind != objects.List {
			c.report.Add(fieldUnknown, n, "%s: want a list", n.Key)
			return
		}
		for _, item := range n.Entries() {
			c.checkValue(item, field)
		}
	default:
		c.checkValue(n, field)
	}
}

func (c *checker) checkValue(n *objects.Node, field protoreflect.FieldDescriptor) {
	problem := ""
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		c.checkMessage(n, field.Message())
		return
	case protoreflect.EnumKind:
		if field.Enum().Values().ByName(protoreflect.Name(n.String())) == nil && n.Kind != objects.Number {
			var names []string
			for i := range field.Enum().Values().Len() {
				names = append(names, string(field.Enum().Values().Get(i).Name()))
			}
			problem = fmt.Sprintf("%s: want one of %s, not %q", field.JSONName(), strings.Join(names, ", "), n.String())
		}
	case protoreflect.BoolKind:
		if n.Kind != objects.Bool {
			problem = fmt.Sprintf("%s: want true or false, not %q", field.JSONName(), n.String())
		}
	case protoreflect.StringKind:
		if n.Kind != objects.Text {
			problem = fmt.Sprintf("%s: want text in quotes", field.JSONName())
		}
	case protoreflect.BytesKind:
	default:
		if _, err := strconv.ParseFloat(n.String(), 64); err != nil {
			problem = fmt.Sprintf("%s: want a number, not %q", field.JSONName(), n.String())
		}
	}
	if problem != "" {
		c.report.Add(fieldUnknown, n, "%s", problem)
	}
}
