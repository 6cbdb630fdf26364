package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// manifest is of each object what pgrecall is configured by.
type manifest struct {
	Kind       string
	Data       map[string]string
	StringData map[string]string `yaml:"stringData"`
	Spec       struct {
		Template struct {
			Spec struct {
				Grace      int64 `yaml:"terminationGracePeriodSeconds"`
				Containers []struct {
					Env []struct {
						Name, Value string
						ValueFrom   struct {
							SecretKeyRef struct{ Key string } `yaml:"secretKeyRef"`
						} `yaml:"valueFrom"`
					}
				}
			}
		}
	}
}

// TestKubernetesConfiguresPgrecall loads what the manifests give to pgrecall, with the example's secrets. They are what the chart renders.
func TestKubernetesConfiguresPgrecall(t *testing.T) {
	var secret manifest
	if err := yaml.Unmarshal(read(t, "deploy/kubernetes/secret.example.yaml"), &secret); err != nil {
		t.Fatal(err)
	}
	variables, files := map[string]string{}, map[string]string{}
	var grace int64
	decoder := yaml.NewDecoder(bytes.NewReader(read(t, "deploy/kubernetes/pgrecall.yaml")))
	for {
		var m manifest
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch m.Kind {
		case "ConfigMap":
			files = m.Data
		case "Deployment":
			grace = m.Spec.Template.Spec.Grace
			for _, v := range m.Spec.Template.Spec.Containers[0].Env {
				variables[v.Name] = v.Value
				if key := v.ValueFrom.SecretKeyRef.Key; key != "" {
					variables[v.Name] = secret.StringData[key]
				}
			}
		}
	}
	// Their places in the container stand for these here.
	if variables["PGRECALL_CONFIG"] != "/etc/pgrecall/pgrecall.yaml" || variables["PGRECALL_L2_KEY_FILE"] != "/etc/pgrecall/keys/l2-keys" {
		t.Fatalf("%v", variables)
	}
	variables["PGRECALL_CONFIG"] = writeFile(t, files["pgrecall.yaml"])
	variables["PGRECALL_L2_KEY_FILE"] = writeFile(t, secret.StringData["l2-keys"])
	c := configured(t, variables)
	up, err := parseUpstream(c, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if !up.hasAccount || c.Redis == "" || c.AdminToken == "" || len(c.Policy.Rules) != 1 {
		t.Errorf("%+v", c)
	}
	if _, err := newCodec(c); err != nil {
		t.Error(err)
	}
	if pod := time.Duration(grace) * time.Second; pod < c.ShutdownGrace+10*time.Second {
		t.Errorf("the pod is killed after %s, running statements have %s", pod, c.ShutdownGrace)
	}
}
