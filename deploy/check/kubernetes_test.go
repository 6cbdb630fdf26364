package check

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

var update = flag.Bool("update", false, "write deploy/kubernetes/pgrecall.yaml")

const (
	alone = "image: {repository: r}\nsecret: {existing: s}\n"
	extra = "extraVolumes: [{name: ca, configMap: {name: ca}}]\nextraVolumeMounts: [{name: ca, mountPath: /etc/ca}]\nextraEnv: [{name: PGRECALL_WARM_FILE, value: /etc/ca/q.sql}]\n" +
		"tolerations: [{key: a, operator: Exists}]\nnodeSelector: {a: b}\naffinity: {nodeAffinity: {}}\npriorityClassName: p\nimagePullSecrets: [{name: i}]\n" +
		"podLabels: {c: d}\npodAnnotations: {e: f}\nservice: {type: LoadBalancer, port: 5432, annotations: {g: h}}\n"
	fleet = alone + "replicas: 3\nredis: {enabled: true, encrypted: true}\ntlsSecret: t\n"
)

// TestPlainManifests holds the manifests for those who don't use Helm to the chart.
func TestPlainManifests(t *testing.T) {
	const name = root + "/deploy/kubernetes/pgrecall.yaml"
	manifests, err := render(t, "pgrecall", read(t, "deploy/kubernetes/values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := "# Made of deploy/helm/pgrecall with values.yaml beside this: go test -run TestPlainManifests -update, in deploy/check.\n" +
		regexp.MustCompile(`(?m)^ +(app\.kubernetes\.io/managed-by|helm\.sh/chart): .*\n`).ReplaceAllString(manifests, "")
	if *update {
		if err := os.WriteFile(filepath.FromSlash(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(read(t, "deploy/kubernetes/pgrecall.yaml")); got != text {
		t.Error("deploy/kubernetes/pgrecall.yaml is not what the chart gives: go test -run TestPlainManifests -update")
	}
	o, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := decode(string(read(t, "deploy/kubernetes/secret.example.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	for key, of := range wantedOfSecret(o.deployment) {
		if of != secret.secrets[0].Name || secret.secrets[0].StringData[key] == "" {
			t.Errorf("the Secret lacks %s/%s", of, key)
		}
	}
}

// wantedOfSecret returns the keys that a Deployment reads, and the Secret of each.
func wantedOfSecret(d *apps.Deployment) map[string]string {
	wanted := map[string]string{}
	for _, v := range d.Spec.Template.Spec.Containers[0].Env {
		if v.ValueFrom != nil {
			wanted[v.ValueFrom.SecretKeyRef.Key] = v.ValueFrom.SecretKeyRef.Name
		}
	}
	for _, v := range d.Spec.Template.Spec.Volumes {
		if v.Secret != nil {
			for _, item := range v.Secret.Items {
				wanted[item.Key] = v.Secret.SecretName
			}
		}
	}
	return wanted
}

func TestPod(t *testing.T) {
	for values, ready := range map[string]string{alone: "/healthz", fleet + "readinessPath: /readyz\n": "/readyz", fleet + extra: "/healthz", fleet + "shutdownGraceSeconds: 120\npreStopSeconds: 20\n": "/healthz"} {
		o := mustRender(t, values)
		pod := o.deployment.Spec.Template.Spec
		c := pod.Containers[0]
		for probe, want := range map[*core.Probe]string{c.StartupProbe: "/healthz", c.LivenessProbe: "/healthz", c.ReadinessProbe: ready} {
			if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != want || probe.HTTPGet.Port.StrVal != "admin" {
				t.Errorf("probe %v, want %s", probe, want)
			}
		}
		names := map[string]int32{}
		for _, p := range c.Ports {
			names[p.Name] = p.ContainerPort
		}
		if names["postgres"] != 6432 || names["admin"] != 9632 || len(names) != 2 {
			t.Errorf("ports %v", names)
		}
		if s := c.SecurityContext; *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" ||
			!*pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%v %v", s, pod.SecurityContext)
		}
		if c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().Cmp(*c.Resources.Requests.Memory()) < 0 {
			t.Errorf("%v", c.Resources)
		}
		env := map[string]string{}
		for _, v := range c.Env {
			if _, twice := env[v.Name]; twice {
				t.Errorf("%s is given twice", v.Name)
			}
			env[v.Name] = v.Value
		}
		for key, of := range wantedOfSecret(o.deployment) {
			if of != "s" {
				t.Errorf("%s comes from %s", key, of)
			}
		}
		if *pod.EnableServiceLinks || *pod.AutomountServiceAccountToken {
			t.Error("the pod is given what it has no use for")
		}
		checkEnd(t, &pod, env["PGRECALL_SHUTDOWN_GRACE"])
		checkVolumes(t, &pod, o.configs[0].Name)
	}
}

// checkEnd holds the pod's grace to that of pgrecall.
func checkEnd(t *testing.T, pod *core.PodSpec, grace string) {
	t.Helper()
	sleep := pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds
	seconds := map[string]int64{"30s": 30, "120s": 120}[grace]
	if got := *pod.TerminationGracePeriodSeconds; seconds == 0 || sleep == 0 || got < sleep+seconds+5 {
		t.Errorf("the pod ends after %d s, with %d s of sleep and a grace of %s", got, sleep, grace)
	}
}

// checkVolumes holds mounts to volumes, and both to what the variables name.
func checkVolumes(t *testing.T, pod *core.PodSpec, config string) {
	t.Helper()
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = false
		if v.Name == "config" && v.ConfigMap.Name != config {
			t.Errorf("no ConfigMap %s", v.ConfigMap.Name)
		}
	}
	var paths []string
	for _, m := range pod.Containers[0].VolumeMounts {
		if _, ok := volumes[m.Name]; !ok {
			t.Errorf("no volume %s", m.Name)
		}
		volumes[m.Name] = true
		paths = append(paths, m.MountPath)
	}
	for name, mounted := range volumes {
		if !mounted {
			t.Errorf("volume %s is not mounted", name)
		}
	}
	for _, v := range pod.Containers[0].Env {
		if !strings.HasPrefix(v.Value, "/etc/") {
			continue
		}
		found := false
		for _, p := range paths {
			found = found || v.Value == p || strings.HasPrefix(v.Value, p+"/")
		}
		if !found {
			t.Errorf("%s=%s is not mounted", v.Name, v.Value)
		}
	}
}

// TestSelectors follows every selector to the pods and Services that it should find.
func TestSelectors(t *testing.T) {
	o := mustRender(t, fleet+"metrics: {serviceMonitor: {enabled: true, labels: {release: prometheus}}}\n")
	pod := labels.Set(o.deployment.Spec.Template.Labels)
	selects := func(what string, selector map[string]string) {
		t.Helper()
		if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(pod) {
			t.Errorf("%s selects %v, pods have %v", what, selector, pod)
		}
	}
	selects("Deployment", o.deployment.Spec.Selector.MatchLabels)
	selects("spread", o.deployment.Spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels)
	if len(o.services) != 2 || len(o.budgets) != 1 || len(o.monitors) != 1 {
		t.Fatalf("%d Services, %d budgets, %d monitors", len(o.services), len(o.budgets), len(o.monitors))
	}
	selects("budget", o.budgets[0].Spec.Selector.MatchLabels)
	monitored := 0
	for _, s := range o.services {
		selects(s.Name, s.Spec.Selector)
		if labels.SelectorFromSet(o.monitors[0].Spec.Selector.MatchLabels).Matches(labels.Set(s.Labels)) {
			monitored++
			if s.Spec.Ports[0].Name != o.monitors[0].Spec.Endpoints[0].Port || s.Labels[o.monitors[0].Spec.JobLabel] != "pgrecall" {
				t.Errorf("the monitor can't scrape %s", s.Name)
			}
		}
	}
	if monitored != 1 {
		t.Errorf("the monitor finds %d Services", monitored)
	}
	if _, twice := o.deployment.Spec.Template.Annotations["prometheus.io/scrape"]; twice {
		t.Error("annotations and a monitor: scraped twice")
	}
}

// TestAloneIsAlone: without Redis no two pods run at a time.
func TestAloneIsAlone(t *testing.T) {
	o := mustRender(t, alone)
	if s := o.deployment.Spec; *s.Replicas != 1 || s.Strategy.Type != apps.RecreateDeploymentStrategyType {
		t.Errorf("%d replicas, strategy %s", *s.Replicas, s.Strategy.Type)
	}
	if len(o.budgets) != 0 {
		t.Error("a budget of one pod would keep its node from being drained")
	}
	if o.deployment.Spec.Template.Annotations["prometheus.io/port"] != "9632" {
		t.Error("no annotations for Prometheus")
	}
	if o = mustRender(t, alone+"replicas: 2\nseparateCaches: true\n"); o.deployment.Spec.Strategy.RollingUpdate == nil || len(o.budgets) != 1 {
		t.Errorf("%v", o.deployment.Spec.Strategy)
	}
	o = mustRender(t, fleet)
	if s := o.deployment.Spec.Strategy; s.RollingUpdate == nil || s.RollingUpdate.MaxUnavailable.IntValue() != 0 {
		t.Errorf("%v", s)
	}
}

// TestSecretOfValues: the chart's own Secret has what the pods read, and a change of it makes other pods.
func TestSecretOfValues(t *testing.T) {
	values := "image: {repository: r}\nreplicas: 2\nredis: {enabled: true, encrypted: true}\nsecret: {data: {upstream: 'a\"b', redis: r, adminToken: x, l2Keys: k}}\n"
	o := mustRender(t, values)
	for key, of := range wantedOfSecret(o.deployment) {
		if len(o.secrets) != 1 || o.secrets[0].Name != of || o.secrets[0].StringData[key] == "" {
			t.Errorf("no %s/%s", of, key)
		}
	}
	if o.secrets[0].StringData["upstream"] != `a"b` {
		t.Error("the DSN is not what was given")
	}
	other := mustRender(t, strings.ReplaceAll(values, "redis: r,", "redis: r2,"))
	if a, b := o.deployment.Spec.Template.Annotations, other.deployment.Spec.Template.Annotations; a["checksum/secret"] == b["checksum/secret"] {
		t.Errorf("%v", a)
	}
}

func TestChartRefuses(t *testing.T) {
	for values, want := range map[string]string{
		"":                                                  "image.repository is missing",
		"image: {repository: r}\n":                          "secret.existing is missing",
		alone + "replicas: 2\n":                             "needs redis.enabled",
		alone + "redis: {encrypted: true}\n":                "redis.encrypted needs redis.enabled",
		alone + "config: {listen: [a]}\n":                   "config.listen",
		alone + "config: {admin: {token: a}}\n":             "config.admin",
		alone + "config: {cache: {redis: a}}\n":             "config.cache.redis",
		alone + "config: {cache: {l2: {key_file: a}}}\n":    "config.cache.l2.key_file",
		alone + "config: {limits: {shutdown_grace: 40s}}\n": "shutdownGraceSeconds",
		alone + "replica: 2\n":                              "replica",
		alone + "preStopSeconds: 0\n":                       "preStopSeconds",
		"image: {repository: r}\nsecret: {existing: s, data: {upstream: u}}\n":                                       "give one of them",
		"image: {repository: r}\nredis: {enabled: true}\nsecret: {data: {upstream: u}}\n":                            "secret.data.redis is missing",
		"image: {repository: r}\nredis: {enabled: true, encrypted: true}\nsecret: {data: {upstream: u, redis: r}}\n": "secret.data.l2Keys is missing",
	} {
		if _, err := render(t, "pgrecall", []byte(values)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", values, err, want)
		}
	}
}

// TestDecodeRefuses: a field that Kubernetes doesn't have would be dropped by a cluster without a word.
func TestDecodeRefuses(t *testing.T) {
	manifests, err := render(t, "pgrecall", []byte(fleet))
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{"preStop:", "prestop:"}, {"maxUnavailable: 1", "maxUnavailableX: 1"}, {"targetPort:", "targetports:"}, {"minReadySeconds: 5", "minReadySeconds: five"}} {
		broken := strings.Replace(manifests, change[0], change[1], 1)
		if broken == manifests {
			t.Fatalf("no %q", change[0])
		}
		if _, err := decode(broken); err == nil {
			t.Errorf("%q is taken", change[1])
		}
	}
}
