package check

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// loadCompose reads the composition as `docker compose config` does: schema, variables, paths and references between sections.
func loadCompose(t *testing.T, content []byte) (*types.Project, error) {
	t.Helper()
	directory, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  directory,
		ConfigFiles: []types.ConfigFile{{Filename: "docker-compose.yml", Content: content}},
	})
}

func TestCompose(t *testing.T) {
	project, err := loadCompose(t, read(t, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"grafana", "pgrecall", "postgres", "prometheus", "redis"}
	if got := slices.Sorted(maps.Keys(project.Services)); !slices.Equal(got, want) {
		t.Errorf("services %v, want %v", got, want)
	}
	for name, service := range project.Services {
		if service.Build == nil && !strings.Contains(service.Image, ":") {
			t.Errorf("%s: image %q has no tag", name, service.Image)
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is published on %q", name, port.Published, port.HostIP)
			}
		}
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind && !exists(t, volume.Source) {
				t.Errorf("%s: nothing at %s", name, volume.Source)
			}
		}
		for other, condition := range service.DependsOn {
			if condition.Condition == types.ServiceConditionHealthy && project.Services[other].HealthCheck == nil {
				t.Errorf("%s waits for the health of %s, which has no check", name, other)
			}
		}
	}
	// limits.shutdown_grace is 30s.
	if grace := project.Services["pgrecall"].StopGracePeriod; grace == nil || time.Duration(*grace) < 35*time.Second {
		t.Errorf("stop_grace_period %v", grace)
	}
}

// TestComposeAddresses follows the addresses that one service has of another.
func TestComposeAddresses(t *testing.T) {
	project, err := loadCompose(t, read(t, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	pgrecall := project.Services["pgrecall"].Environment
	for variable, want := range map[string]string{
		"PGRECALL_UPSTREAM": "@postgres:5432/app", "PGRECALL_REDIS": "redis://redis:6379", "PGRECALL_ADMIN_HOSTS": "pgrecall",
	} {
		if got := pgrecall[variable]; got == nil || !strings.Contains(*got, want) {
			t.Errorf("%s is %v, want %s", variable, got, want)
		}
	}
	for file, address := range map[string]string{
		"deploy/prometheus/prometheus.yml":                       "pgrecall:9632",
		"deploy/grafana/provisioning/datasources/prometheus.yml": "http://prometheus:9090",
	} {
		if !strings.Contains(string(read(t, file)), address) {
			t.Errorf("%s: no %s", file, address)
		}
	}
	// The provider of boards looks where they are mounted.
	boards := false
	for _, volume := range project.Services["grafana"].Volumes {
		if strings.HasSuffix(volume.Source, "deploy/grafana/dashboards") {
			boards = strings.Contains(string(read(t, "deploy/grafana/provisioning/dashboards/pgrecall.yml")), "path: "+volume.Target+"\n")
		}
	}
	if !boards {
		t.Error("Grafana does not find the boards")
	}
	home := project.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	if home == nil || !exists(t, filepath.Join(root, "deploy/grafana/dashboards", filepath.Base(*home))) {
		t.Errorf("no home board %v", home)
	}
}

func TestComposeRefuses(t *testing.T) {
	text := string(read(t, "docker-compose.yml"))
	for _, change := range [][2]string{
		{"stop_grace_period:", "stop_grace:"},
		{"condition: service_healthy", "condition: service_fine"},
		{"    depends_on: [prometheus]", "    depends_on: [thanos]"},
	} {
		broken := strings.Replace(text, change[0], change[1], 1)
		if broken == text {
			t.Fatalf("no %q", change[0])
		}
		if _, err := loadCompose(t, []byte(broken)); err == nil {
			t.Errorf("%q is taken", change[1])
		}
	}
}
