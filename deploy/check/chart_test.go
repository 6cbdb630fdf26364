package check

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/json"
	sigs "sigs.k8s.io/yaml"
)

// render does what `helm template RELEASE deploy/helm/pgrecall --values VALUES` does; the files come in the order of their names.
func render(t *testing.T, release string, values []byte) (string, error) {
	t.Helper()
	chart, err := loader.Load(filepath.Join(root, "deploy/helm/pgrecall"))
	if err != nil {
		t.Fatal(err)
	}
	if err := chart.Validate(); err != nil {
		t.Fatal(err)
	}
	if !chartutil.IsCompatibleRange(chart.Metadata.KubeVersion, "v1.30.0-gke.1") || chartutil.IsCompatibleRange(chart.Metadata.KubeVersion, "v1.29.9") {
		t.Errorf("kubeVersion %s: preStop.sleep came with 1.30", chart.Metadata.KubeVersion)
	}
	given, err := chartutil.ReadValues(values)
	if err != nil {
		t.Fatal(err)
	}
	// The values are held to values.schema.json here.
	all, err := chartutil.ToRenderValues(chart, given, chartutil.ReleaseOptions{Name: release, Namespace: "default", IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		return "", err
	}
	files, err := engine.Engine{Strict: true}.Render(chart, all)
	if err != nil {
		return "", err
	}
	var documents strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if filepath.Ext(name) == ".yaml" && strings.TrimSpace(files[name]) != "" {
			documents.WriteString("---\n" + strings.TrimSpace(files[name]) + "\n")
		}
	}
	return documents.String(), nil
}

// objects is what a set of manifests holds.
type objects struct {
	deployment *apps.Deployment
	services   []*core.Service
	configs    []*core.ConfigMap
	secrets    []*core.Secret
	budgets    []*policy.PodDisruptionBudget
	monitors   []*monitoring.ServiceMonitor
}

// decode reads manifests into the types of their APIs. Fields that these don't have, and keys given twice, are errors.
func decode(manifests string) (*objects, error) {
	var all objects
	reader := yaml.NewDocumentDecoder(io.NopCloser(strings.NewReader(manifests)))
	defer func() { _ = reader.Close() }()
	buffer := make([]byte, 1<<20)
	for {
		n, err := reader.Read(buffer)
		if errors.Is(err, io.EOF) {
			return &all, nil
		}
		if err != nil {
			return nil, err
		}
		document := buffer[:n]
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		if err := all.add(document); err != nil {
			return nil, err
		}
	}
}

func (o *objects) add(document []byte) error {
	var kind struct{ APIVersion, Kind string }
	if err := sigs.Unmarshal(document, &kind); err != nil {
		return err
	}
	switch kind.APIVersion + " " + kind.Kind {
	case " ": // comments
		return nil
	case "apps/v1 Deployment":
		o.deployment = &apps.Deployment{}
		return decodeStrict(document, o.deployment)
	case "v1 Service":
		return appendStrict(document, &o.services)
	case "v1 ConfigMap":
		return appendStrict(document, &o.configs)
	case "v1 Secret":
		return appendStrict(document, &o.secrets)
	case "policy/v1 PodDisruptionBudget":
		return appendStrict(document, &o.budgets)
	case "monitoring.coreos.com/v1 ServiceMonitor":
		return appendStrict(document, &o.monitors)
	}
	return errors.New("unexpected " + kind.APIVersion + " " + kind.Kind)
}

// decodeStrict is what the API server does with fieldValidation=Strict: names in their case, none unknown, none twice.
func decodeStrict(document []byte, v any) error {
	text, err := sigs.YAMLToJSONStrict(document)
	if err != nil {
		return err
	}
	unknown, err := json.UnmarshalStrict(text, v)
	return errors.Join(append(unknown, err)...)
}

func appendStrict[T any](document []byte, to *[]*T) error {
	v := new(T)
	if err := decodeStrict(document, v); err != nil {
		return err
	}
	*to = append(*to, v)
	return nil
}

func mustRender(t *testing.T, values string) *objects {
	t.Helper()
	manifests, err := render(t, "pgrecall", []byte(values))
	if err != nil {
		t.Fatal(err)
	}
	o, err := decode(manifests)
	if err != nil {
		t.Fatalf("%v\n%s", err, manifests)
	}
	if o.deployment == nil {
		t.Fatal("no Deployment")
	}
	return o
}
