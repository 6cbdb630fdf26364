package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// TestImageHasItsSources holds .dockerignore to the files that the binary is built of.
func TestImageHasItsSources(t *testing.T) {
	patterns, err := ignorefile.ReadAll(bytes.NewReader(read(t, ".dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	needed := append(sources(t), "go.mod", "go.sum", "config.example.yaml", "LICENSE")
	for _, file := range needed {
		if out, err := ignored.MatchesOrParentMatches(file); err != nil || out {
			t.Errorf("%s is kept out of the image's build: %v", file, err)
		}
	}
	for _, file := range []string{".git/config", "bin/pgrecall", "pgrecall", "cmd/pgrecall/main_test.go", "deploy/check/go.mod"} {
		if out, err := ignored.MatchesOrParentMatches(file); err != nil || !out {
			t.Errorf("%s goes into the image's build: %v", file, err)
		}
	}
}

// sources lists the files of this module that cmd/pgrecall is made of.
func sources(t *testing.T) []string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=Dir,GoFiles,CgoFiles,CFiles,HFiles,EmbedFiles,Module", "./cmd/pgrecall")
	c.Dir = root
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	directory, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir                                           string
			GoFiles, CgoFiles, CFiles, HFiles, EmbedFiles []string
			Module                                        *struct{ Main bool }
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module == nil || !p.Module.Main {
			continue
		}
		for _, names := range [][]string{p.GoFiles, p.CgoFiles, p.CFiles, p.HFiles, p.EmbedFiles} {
			for _, name := range names {
				file, err := filepath.Rel(directory, filepath.Join(p.Dir, name))
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, file)
			}
		}
	}
	if len(files) < 100 {
		t.Fatalf("only %d files", len(files))
	}
	return files
}

// TestDockerfile holds what it says twice to the place where it comes from.
func TestDockerfile(t *testing.T) {
	text := string(read(t, "Dockerfile"))
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(read(t, "go.mod"))[1]
	if want := "FROM golang:" + string(version) + "-"; !strings.Contains(text, want) {
		t.Errorf("no %s: images of Go fetch no other version", want)
	}
	parser := regexp.MustCompile(`RUN go build -trimpath (\S+)\n`).FindStringSubmatch(text)[1]
	if !bytes.Contains(read(t, "go.mod"), []byte(parser+" v")) {
		t.Errorf("go.mod does not name %s", parser)
	}
	variable := regexp.MustCompile(`-X main\.(\w+)=`).FindStringSubmatch(text)[1]
	if !bytes.Contains(read(t, "cmd/pgrecall/version.go"), []byte("\nvar "+variable+" string\n")) {
		t.Errorf("no variable %s: the linker says nothing of that", variable)
	}
	// The same binary as a release's.
	release := string(read(t, "deploy/.goreleaser.yaml"))
	for _, flag := range []string{"-trimpath", "-linkmode external -extldflags -static"} {
		if !strings.Contains(text, flag) || !strings.Contains(release, flag) {
			t.Errorf("%s is not in both", flag)
		}
	}
	if !regexp.MustCompile(`(?m)^USER \d+:\d+$`).MatchString(text) {
		t.Error("USER is not in digits, which runAsNonRoot needs")
	}
	if !strings.Contains(text, "\nSTOPSIGNAL SIGTERM\n") {
		t.Error("the signal that ends it in order is SIGTERM")
	}
}
