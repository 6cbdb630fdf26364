package check

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// releaseSchema is what `goreleaser jsonschema` prints.
const releaseSchema = "testdata/goreleaser-v2.13.3.schema.json"

func validateRelease(t *testing.T, text []byte) error {
	t.Helper()
	schemaText, err := os.ReadFile(releaseSchema)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("goreleaser.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("goreleaser.json")
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(instance)
}

func TestRelease(t *testing.T) {
	text := read(t, "deploy/.goreleaser.yaml")
	if err := validateRelease(t, text); err != nil {
		t.Error(err)
	}
	for _, change := range [][2]string{{"mod_timestamp:", "timestamp:"}, {"goos: [linux]", "goos: linux"}, {"type: config|noreplace", "types: config"}} {
		broken := strings.Replace(string(text), change[0], change[1], 1)
		if broken == string(text) {
			t.Fatalf("no %q", change[0])
		}
		if validateRelease(t, []byte(broken)) == nil {
			t.Errorf("%q is taken", change[1])
		}
	}
	var release struct {
		Builds []struct {
			ID      string
			Goarch  []string
			Env     []string
			Ldflags []string
			Tags    []string
		}
		Nfpms []struct {
			Contents []struct{ Src, Dst string }
		}
	}
	if err := yaml.Unmarshal(text, &release); err != nil {
		t.Fatal(err)
	}
	compilers := map[string]string{"amd64": "CC=gcc", "arm64": "CC=aarch64-linux-gnu-gcc"}
	for _, b := range release.Builds {
		env := strings.Join(b.Env, " ")
		if len(b.Goarch) != 1 || !strings.Contains(env, "CGO_ENABLED=1") || !strings.Contains(env, compilers[b.Goarch[0]]) {
			t.Errorf("%s: the C of the parser needs the compiler of its platform: %v %v", b.ID, b.Goarch, b.Env)
		}
		if !strings.Contains(strings.Join(b.Ldflags, " "), "-extldflags -static") || strings.Join(b.Tags, ",") != "netgo,osusergo" {
			t.Errorf("%s: %v %v", b.ID, b.Ldflags, b.Tags)
		}
	}
	for _, p := range release.Nfpms {
		for _, c := range p.Contents {
			if !exists(t, filepath.Join(root, c.Src)) {
				t.Errorf("no %s for %s", c.Src, c.Dst)
			}
		}
	}
}
