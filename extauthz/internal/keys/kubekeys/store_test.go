package kubekeys_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	api "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	clienttest "k8s.io/client-go/testing"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
	"github.com/meshpass/meshpass/extauthz/internal/keys/kubekeys"
	"github.com/meshpass/meshpass/shared/keyset"
)

var (
	noon       = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	secrets    = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	secret     = kubekeys.ObjectName{Namespace: "edge", Name: "meshpass-signing-keys"}
	configMap  = kubekeys.ObjectName{Namespace: "meshpass", Name: "meshpass-jwks"}
)

const day = 24 * time.Hour

func rotation(now time.Time) keys.Rotation {
	return keys.Rotation{Every: 7 * day, KeyRequest: keys.KeyRequest{
		Algorithm: keyset.ES256, Lead: time.Hour, Lifetime: 30 * day, First: true, Now: now,
	}}
}

type cluster struct {
	*fake.FakeDynamicClient
	kubekeys.Store
}

func newCluster() cluster {
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{secrets: "SecretList", configMaps: "ConfigMapList"})
	return cluster{client, kubekeys.NewStore(client, secret, configMap)}
}

// beside is another client of the same cluster: within a call of one, only
// another may call.
func (c cluster) beside() cluster {
	other := newCluster()
	other.PrependReactor("*", "*", clienttest.ObjectReaction(c.Tracker()))
	return other
}

func (c cluster) get(t *testing.T, resource schema.GroupVersionResource, name kubekeys.ObjectName) *unstructured.Unstructured {
	t.Helper()
	found, err := c.Resource(resource).Namespace(name.Namespace).Get(t.Context(), name.Name, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// put writes one entry of an object, as somebody else would.
func (c cluster) put(t *testing.T, resource schema.GroupVersionResource, name kubekeys.ObjectName, entry, value string) {
	t.Helper()
	object := c.get(t, resource, name)
	if err := unstructured.SetNestedField(object.Object, value, "data", entry); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Resource(resource).Namespace(name.Namespace).Update(t.Context(), object, meta.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// signing are the keys as a gateway reads them that mounts the Secret; nil: no Secret.
func (c cluster) signing(t *testing.T) *keyset.SigningKeys {
	t.Helper()
	found, err := c.Resource(secrets).Namespace(secret.Namespace).Get(t.Context(), secret.Name, meta.GetOptions{})
	if api.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	data, _, err := unstructured.NestedStringMap(found.Object, "data")
	if err != nil {
		t.Fatal(err)
	}
	files := keyset.Files{}
	for name, encoded := range data {
		if files[name], err = base64.StdEncoding.DecodeString(encoded); err != nil {
			t.Fatal(err)
		}
	}
	set, err := files.SigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func (c cluster) published(t *testing.T) *keyset.PublicKeys {
	t.Helper()
	text, _, err := unstructured.NestedString(c.get(t, configMaps, configMap).Object, "data", "jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	set, err := keyset.ParseJWKS([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// known wants verifiers to have every key that a gateway may sign with, now or later.
func (c cluster) known(t *testing.T, now time.Time) {
	t.Helper()
	set := c.signing(t)
	if set == nil {
		return
	}
	published := c.published(t)
	for _, key := range set.Keys() {
		_, there := published.KeyByID(key.ID())
		if may := key.Plan().SignFrom.After(now) || set.StateOf(key, now) == keyset.StateSigning; may && !there {
			t.Errorf("%s may sign, and is not published", key.ID())
		}
	}
}

// settled: and nothing else is published.
func (c cluster) settled(t *testing.T, now time.Time) {
	t.Helper()
	c.known(t, now)
	r, err := c.Status(t.Context(), keys.StatusOptions{Lead: time.Hour, Now: now.Add(time.Hour)})
	if err != nil || len(r.Problems) > 0 {
		t.Errorf("got %v, %v", r.Problems, err)
	}
}

func (c cluster) rotate(t *testing.T, r keys.Rotation) keys.Report {
	t.Helper()
	report, err := c.Rotate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestARotationAndWhatItLeavesAlone(t *testing.T) {
	c := newCluster()
	first := c.rotate(t, rotation(noon))
	if first.Made == "" || first.Place != "Secret edge/meshpass-signing-keys" || first.Out != "ConfigMap meshpass/meshpass-jwks" {
		t.Errorf("got %+v", first)
	}
	c.put(t, secrets, secret, "hmac", "c2VjcmV0")
	c.put(t, secrets, secret, "stray.pem", "eA==")
	c.put(t, configMaps, configMap, "other.json", "{}")
	if r := c.rotate(t, rotation(noon.Add(7*day-time.Hour))); r.Made == "" || len(r.Added) != 1 || len(r.Keys) != 2 {
		t.Errorf("got %+v", r)
	}
	if r := c.rotate(t, rotation(noon.Add(7*day-time.Hour))); r.Changed {
		t.Errorf("run twice: got %+v", r)
	}
	data, _, _ := unstructured.NestedStringMap(c.get(t, secrets, secret).Object, "data")
	if len(data) != 4 || data["hmac"] != "c2VjcmV0" { // keys.yaml, two keys and what is not ours
		t.Errorf("got %d entries", len(data))
	}
	if other, _, _ := unstructured.NestedString(c.get(t, configMaps, configMap).Object, "data", "other.json"); other != "{}" {
		t.Errorf("got %s", other)
	}
	c.settled(t, noon.Add(7*day-time.Hour))
}

// disturbed calls disturb before the write n, counted from 0, which then fails
// with what it returns. writes counts all.
func (c cluster) disturbed(n int, disturb func(resource string) error) (writes *int) {
	writes = new(int)
	c.PrependReactor("*", "*", func(action clienttest.Action) (bool, runtime.Object, error) {
		if verb := action.GetVerb(); verb != "create" && verb != "update" {
			return false, nil, nil
		}
		*writes++
		if *writes != n+1 {
			return false, nil, nil
		}
		return true, nil, disturb(action.GetResource().Resource)
	})
	return writes
}

func conflict(resource string) error {
	return api.NewConflict(schema.GroupResource{Resource: resource}, "x", errors.New("the object has been modified"))
}

// scenarios begin in an own cluster each; the rotation is the one to disturb.
var scenarios = []struct {
	name   string
	before func(t *testing.T, c cluster)
	ask    func(t *testing.T, c cluster) keys.Rotation
	writes int
}{
	{"nothing there", func(*testing.T, cluster) {}, func(*testing.T, cluster) keys.Rotation { return rotation(noon) }, 2},
	{"the next key", func(t *testing.T, c cluster) { c.rotate(t, rotation(noon)) },
		func(*testing.T, cluster) keys.Rotation { return rotation(noon.Add(7*day - time.Hour)) }, 2},
	{"a leak", func(t *testing.T, c cluster) { c.rotate(t, rotation(noon)) }, func(t *testing.T, c cluster) keys.Rotation {
		r := rotation(noon.Add(day))
		r.Immediately, r.Leaked = true, []string{c.signing(t).Keys()[0].ID()}
		return r
	}, 2},
	{"not published", func(t *testing.T, c cluster) {
		c.rotate(t, rotation(noon))
		c.put(t, configMaps, configMap, "jwks.json", "")
	}, func(*testing.T, cluster) keys.Rotation { return rotation(noon.Add(day)) }, 1},
}

func TestAConflictAtEveryWrite(t *testing.T) {
	for _, s := range scenarios {
		for n := range s.writes {
			t.Run(s.name, func(t *testing.T) {
				c := newCluster()
				s.before(t, c)
				r := s.ask(t, c)
				writes := c.disturbed(n, conflict)
				report := c.rotate(t, r)
				if !report.Changed && s.writes > 1 || *writes <= s.writes {
					t.Errorf("conflict at %d of %d writes: %+v", n, *writes, report)
				}
				c.settled(t, r.Now)
			})
		}
	}
}

// Another rotation comes to its end between two writes of this one: one key is made.
func TestAnotherRotationAtEveryWrite(t *testing.T) {
	for _, s := range scenarios[:2] {
		for n := range s.writes {
			t.Run(s.name, func(t *testing.T) {
				c := newCluster()
				s.before(t, c)
				r := s.ask(t, c)
				c.disturbed(n, func(resource string) error {
					if other := c.beside().rotate(t, r); other.Made == "" {
						t.Errorf("the other one: %+v", other)
					}
					return conflict(resource)
				})
				if report := c.rotate(t, r); report.Made != "" {
					t.Errorf("at %d: got %+v", n, report)
				}
				c.settled(t, r.Now)
			})
		}
	}
}

// Ended between two writes, or refused, it leaves nothing that may sign unknown;
// the next run ends it.
func TestAFailureAtEveryWrite(t *testing.T) {
	down := errors.New("the API server is gone")
	for _, s := range scenarios {
		for n := range s.writes {
			t.Run(s.name, func(t *testing.T) {
				c := newCluster()
				s.before(t, c)
				r := s.ask(t, c)
				ended := false
				c.disturbed(n, func(string) error {
					ended = true
					return down
				})
				c.PrependReactor("*", "*", func(clienttest.Action) (bool, runtime.Object, error) { return ended, nil, down })
				if _, err := c.Rotate(t.Context(), r); !errors.Is(err, down) {
					t.Fatalf("at %d: got %v", n, err)
				}
				ended = false
				if len(r.Leaked) == 0 && s.name != "not published" {
					c.known(t, r.Now)
				}
				c.rotate(t, r)
				c.settled(t, r.Now)
			})
		}
	}
}

func TestConflictsWithoutEnd(t *testing.T) {
	c, writes := newCluster(), 0
	c.PrependReactor("create", "*", func(action clienttest.Action) (bool, runtime.Object, error) {
		writes++
		return true, nil, conflict(action.GetResource().Resource)
	})
	if _, err := c.Rotate(t.Context(), rotation(noon)); !api.IsConflict(err) || writes != 5 {
		t.Errorf("%d writes, %v", writes, err)
	}
}

func TestWhatIsNotOurs(t *testing.T) {
	for _, row := range []struct {
		name     string
		resource schema.GroupVersionResource
		object   kubekeys.ObjectName
		entry    string
		value    string
		want     string
	}{
		{"another file for the set", configMaps, configMap, "jwks.json", "hello", "is not a key set, and is not overwritten"},
		{"half a keys.yaml", secrets, secret, "keys.yaml", base64.StdEncoding.EncodeToString([]byte("keys: {a: {pub")), "Secret edge/meshpass-signing-keys: keys.yaml: 1:"},
		{"no base64", secrets, secret, "keys.yaml", "%", "keys.yaml is not base64"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := newCluster()
			c.rotate(t, rotation(noon))
			c.put(t, row.resource, row.object, row.entry, row.value)
			writes := c.disturbed(-1, nil)
			_, err := c.Rotate(t.Context(), rotation(noon.Add(7*day-time.Hour)))
			if err == nil || !strings.Contains(err.Error(), row.want) || *writes != 0 {
				t.Errorf("%d writes, %v", *writes, err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for text, ok := range map[string]bool{"edge/keys": true, "keys": false, "/keys": false, "edge/": false, "a/b/c": false} {
		var name kubekeys.ObjectName
		if err := name.Set(text); (err == nil) != ok || ok && name.String() != text {
			t.Errorf("%s: got %v, %v", text, name, err)
		}
	}
}
