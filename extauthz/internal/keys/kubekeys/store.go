// Package kube keeps signing keys in a Secret, as gateways mount it, and their
// public halves in a ConfigMap, as authorizers do.
//
// Two writes cannot be one. So the ConfigMap is written first: verifiers know a
// key before any gateway may have it. Each write carries the resource version of
// what was read, so that whatever anybody else wrote meanwhile is read again and
// worked out anew. At the end both are compared once more: of two rotations at
// once, one writes a key into the ConfigMap that the other's Secret does not have.
package kubekeys

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
	"github.com/meshpass/meshpass/shared/keyset"
)

// SetName is the entry of the ConfigMap that holds the key set.
const JWKSEntry = "jwks.json"

// ObjectName is an object's, written NAMESPACE/NAME.
type ObjectName struct{ Namespace, Name string }

func (n ObjectName) String() string { return n.Namespace + "/" + n.Name }

// Set makes a Name a flag.
func (n *ObjectName) Set(text string) error {
	namespace, name, ok := strings.Cut(text, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("want NAMESPACE/NAME")
	}
	*n = ObjectName{namespace, name}
	return nil
}

// Store are the two objects.
type Store struct{ secret, configMap object }

// NewStore names them in a cluster.
func NewStore(client dynamic.Interface, secret, configMap ObjectName) Store {
	of := func(resource, kind string, name ObjectName) object {
		all := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: resource})
		return object{all.Namespace(name.Namespace), kind, name}
	}
	return Store{of("secrets", "Secret", secret), of("configmaps", "ConfigMap", configMap)}
}

// Rotate brings the Secret up to date, and the ConfigMap before it. The report
// is that of the write that succeeded.
func (k Store) Rotate(ctx context.Context, r keys.Rotation) (report keys.Report, err error) {
	r.Dir = k.secret.String()
	err = retryConflicts(func() (err error) {
		report, err = k.rotateOnce(ctx, r)
		return err
	})
	// Even after a failure: what this run published may be in no Secret.
	if _, settled := k.Publish(ctx, r.Now); err == nil {
		err = settled
	}
	return report, err
}

// rotateOnce reads the ConfigMap first. So, if its write succeeds, no other rotation
// has come to its end since the Secret was read.
func (k Store) rotateOnce(ctx context.Context, r keys.Rotation) (keys.Report, error) {
	configMap, secret, err := k.readBoth(ctx)
	if err != nil {
		return keys.Report{}, err
	}
	before, err := secret.keyFiles()
	if err != nil {
		return keys.Report{}, err
	}
	after, report, err := r.Apply(before, []byte(configMap.text(JWKSEntry)))
	if err != nil {
		return report, err
	}
	published, err := k.writeConfigMap(ctx, configMap, after, &report, r.Now)
	if err != nil {
		return keys.Report{}, err
	}
	changed, err := secret.setKeyFiles(after)
	report.Changed = changed || published
	if err != nil || !changed {
		return report, err
	}
	return report, k.secret.writeContent(ctx, secret)
}

// Publish makes the ConfigMap hold what the Secret says.
func (k Store) Publish(ctx context.Context, now time.Time) (report keys.Report, err error) {
	err = retryConflicts(func() error {
		configMap, secret, err := k.readBoth(ctx)
		if err != nil {
			return err
		}
		files, err := secret.keyFiles()
		if err != nil {
			return err
		}
		if report, err = (keys.StatusOptions{Place: k.secret.String(), Now: now}).Plain(files); err != nil {
			return err
		}
		report.Changed, err = k.writeConfigMap(ctx, configMap, files, &report, now)
		return err
	})
	return report, err
}

// Status tells the state of both.
func (k Store) Status(ctx context.Context, c keys.StatusOptions) (keys.Report, error) {
	configMap, secret, err := k.readBoth(ctx)
	if err != nil {
		return keys.Report{}, err
	}
	files, err := secret.keyFiles()
	if err != nil {
		return keys.Report{}, err
	}
	c.Place = k.secret.String()
	return c.BuildReport(files, k.configMap.String(), []byte(configMap.text(JWKSEntry)))
}

func (k Store) readBoth(ctx context.Context) (configMap, secret content, err error) {
	if configMap, err = k.configMap.readContent(ctx); err == nil {
		secret, err = k.secret.readContent(ctx)
	}
	return configMap, secret, err
}

func (k Store) writeConfigMap(ctx context.Context, configMap content, files keyset.Files, report *keys.Report, now time.Time) (changed bool, err error) {
	set, err := files.SigningKeys()
	if err != nil {
		return false, err
	}
	data, changed, err := report.PlanPublication(set, k.configMap.String(), []byte(configMap.text(JWKSEntry)), now)
	if err != nil || !changed {
		return false, err
	}
	configMap.setText(JWKSEntry, string(data))
	return true, k.configMap.writeContent(ctx, configMap)
}

// retryConflicts repeats what somebody else came before, a few times.
func retryConflicts(do func() error) error {
	lost := func(err error) bool { return errors.IsConflict(err) || errors.IsAlreadyExists(err) }
	return retry.OnError(retry.DefaultRetry, lost, do)
}
