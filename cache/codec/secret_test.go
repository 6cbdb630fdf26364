package codec_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgrecall/pgrecall/cache/codec"
)

func TestSecretsAreRead(t *testing.T) {
	text := "# sealing\n" + secret(7).Line() + "\r\n\n  " + strings.TrimRight(secret(0).Line(), "=") + "  \n255 : " + secret(255).Line()[4:]
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []codec.Secret{secret(7), secret(0), secret(255)}
	for name, read := range map[string]func() ([]codec.Secret, error){
		"file": func() ([]codec.Secret, error) { return codec.LoadSecrets(path) },
		"variable": func() ([]codec.Secret, error) {
			return codec.ParseSecrets("PGRECALL_KEYS", secret(7).Line()+","+secret(0).Line()+" , "+secret(255).Line()+",")
		},
	} {
		got, err := read()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestDefectsOfSecretsAreNamed(t *testing.T) {
	encoded := secret(1).Line()[2:]
	for _, test := range []struct{ text, want string }{
		{"", "F: no key"},
		{"# 1:abc\n", "F: no key"},
		{encoded, "F:1: no colon: a key is written id:base64"},
		{"\n\nx:" + encoded, "F:3: the id before the colon is no number from 0 to 255"},
		{"256:" + encoded, "F:1: the id before the colon is no number from 0 to 255"},
		{"-1:" + encoded, "F:1: the id before the colon is no number from 0 to 255"},
		{encoded + ":1", "F:1: the id before the colon is no number from 0 to 255"},
		{"1:", "F:1: the key has 0 bytes, want 32"},
		{"1:" + encoded[:40], "F:1: the key has 30 bytes, want 32"},
		{"1:" + encoded[:4] + encoded, "F:1: the key has 35 bytes, want 32"},
		{"1:" + encoded[:20] + "*" + encoded[21:], "F:1: what follows the colon is not base64"},
		{"1:1:" + encoded, "F:1: what follows the colon is not base64"},
		{"1:" + base64.StdEncoding.EncodeToString(make([]byte, 32)), "F:1: the key is all zeros"},
		{"1:" + encoded + "\n\n1:" + secret(2).Line()[2:], "F:3: id 1 given twice, first in line 1"},
		{"1:" + encoded + "\n2:" + encoded, "F:2: id 2 is the same key as id 1 in line 1"},
		{strings.Repeat("#\n", 40000), "F: more than 65536 bytes"},
	} {
		secrets, err := codec.ParseSecrets("F", test.text)
		if err == nil || err.Error() != test.want || secrets != nil {
			t.Errorf("%.60q: %v, %v, want %s", test.text, secrets, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), encoded[:8]) {
			t.Errorf("%q holds a key", err)
		}
	}
	if _, err := codec.LoadSecrets(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestSecretsDoNotShow prints a key in all ways that a mistake may take.
func TestSecretsDoNotShow(t *testing.T) {
	s := secret(42)
	options := codec.Options{Keys: []codec.Secret{s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "%t", "%8.3f"} {
		fmt.Fprintf(&out, verb+verb+verb+verb+"\n", s, &s, options, []any{s})
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("keys", "one", s, "all", options, "pointer", &s)
	}
	if err := json.NewEncoder(&out).Encode(options); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "key 42") {
		t.Errorf("no id in %s", out.String())
	}
	decimal := strings.Trim(fmt.Sprint([4]byte(s.Key[:4])), "[]")
	for name, form := range map[string]string{
		"hexadecimal": hex.EncodeToString(s.Key[:4]), "base64": base64.StdEncoding.EncodeToString(s.Key[:])[:8],
		"decimal": decimal, "list": strings.ReplaceAll(decimal, " ", ","), "syntax": fmt.Sprintf("%#v", s.Key[0]) + ", ", "text": string(s.Key[:4]),
	} {
		if strings.Contains(strings.ToLower(out.String()), strings.ToLower(form)) {
			t.Errorf("the key shows as %s: %q", name, form)
		}
	}
}

func TestGeneratedSecretsDiffer(t *testing.T) {
	a, b := codec.Generate(1), codec.Generate(1)
	if a.Key == b.Key || a.ID != 1 {
		t.Errorf("%v and %v", a, b)
	}
	got, err := codec.ParseSecrets("F", a.Line())
	if err != nil || got[0] != a {
		t.Errorf("%v, %v", got, err)
	}
}
