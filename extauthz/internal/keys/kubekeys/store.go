// Package kubekeys keeps signing keys in a Secret, which gateways mount, and the public
// keys in a ConfigMap, which authorizers mount.
//
// Both cannot be written at once. So the ConfigMap is written first: verifiers know a
// key before a gateway can have it. Each write carries the resource version that was
// read, so that after a write of another client everything is read and computed again.
// At the end both are compared once more: of two rotations at the same time, one can
// write a key into the ConfigMap that the Secret of the other does not have.
package kubekeys

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
	"github.com/meshpass/meshpass/shared/keyset"
)

// JWKSEntry is the entry of the ConfigMap that holds the key set.
const JWKSEntry = "jwks.json"

// Store is a Secret with signing keys and a ConfigMap with their key set.
type Store struct{ secret, configMap object }

// NewStore makes the store of two objects of a cluster.
func NewStore(client dynamic.Interface, secret, configMap ObjectName) Store {
	newObject := func(resource, kind string, name ObjectName) object {
		all := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: resource})
		return object{client: all.Namespace(name.Namespace), kind: kind, name: name}
	}
	return Store{secret: newObject("secrets", "Secret", secret), configMap: newObject("configmaps", "ConfigMap", configMap)}
}

// Rotate brings the ConfigMap and then the Secret up to date. The report is that of the
// write that succeeded.
func (s Store) Rotate(ctx context.Context, r keys.Rotation) (report keys.Report, err error) {
	r.Dir = s.secret.String()
	err = retryConflicts(func() (err error) {
		report, err = s.rotateOnce(ctx, r)
		return err
	})
	// Also after a failure, because the Secret may not contain the key that this run published.
	if _, publishErr := s.Publish(ctx, r.Now); err == nil {
		err = publishErr
	}
	return report, err
}

// rotateOnce reads the ConfigMap first. If its write succeeds, no other rotation has ended
// since the Secret was read.
func (s Store) rotateOnce(ctx context.Context, r keys.Rotation) (keys.Report, error) {
	configMap, secret, err := s.readBoth(ctx)
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
	published, err := s.writeConfigMap(ctx, configMap, after, &report, r.Now)
	if err != nil {
		return keys.Report{}, err
	}
	changed, err := secret.setKeyFiles(after)
	report.Changed = changed || published
	if err != nil || !changed {
		return report, err
	}
	return report, s.secret.writeContent(ctx, secret)
}

// Publish writes the public keys of the Secret to the ConfigMap.
func (s Store) Publish(ctx context.Context, now time.Time) (report keys.Report, err error) {
	err = retryConflicts(func() error {
		configMap, secret, err := s.readBoth(ctx)
		if err != nil {
			return err
		}
		files, err := secret.keyFiles()
		if err != nil {
			return err
		}
		if report, err = keys.Describe(s.secret.String(), files, now); err != nil {
			return err
		}
		report.Changed, err = s.writeConfigMap(ctx, configMap, files, &report, now)
		return err
	})
	return report, err
}

// Status reports the state of both objects.
func (s Store) Status(ctx context.Context, options keys.StatusOptions) (keys.Report, error) {
	configMap, secret, err := s.readBoth(ctx)
	if err != nil {
		return keys.Report{}, err
	}
	files, err := secret.keyFiles()
	if err != nil {
		return keys.Report{}, err
	}
	options.Place = s.secret.String()
	return options.BuildReport(files, s.configMap.String(), []byte(configMap.text(JWKSEntry)))
}

func (s Store) readBoth(ctx context.Context) (configMap, secret content, err error) {
	if configMap, err = s.configMap.readContent(ctx); err == nil {
		secret, err = s.secret.readContent(ctx)
	}
	return configMap, secret, err
}

func (s Store) writeConfigMap(ctx context.Context, configMap content, files keyset.Files, report *keys.Report, now time.Time) (changed bool, err error) {
	set, err := files.SigningKeys()
	if err != nil {
		return false, err
	}
	data, changed, err := report.PlanPublication(set, s.configMap.String(), []byte(configMap.text(JWKSEntry)), now)
	if err != nil || !changed {
		return false, err
	}
	configMap.setText(JWKSEntry, string(data))
	return true, s.configMap.writeContent(ctx, configMap)
}

// retryConflicts tries again, a few times, after a write of another client.
func retryConflicts(do func() error) error {
	lost := func(err error) bool { return errors.IsConflict(err) || errors.IsAlreadyExists(err) }
	return retry.OnError(retry.DefaultRetry, lost, do)
}
