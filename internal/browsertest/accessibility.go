package browsertest

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

//go:embed axe/package.json axe/package-lock.json
var axeFiles embed.FS

// controls are the roles of what people operate.
var controls = []string{"button", "textbox", "searchbox", "combobox", "listbox", "link", "checkbox", "radio", "slider", "spinbutton", "menuitem", "tab", "switch", "DisclosureTriangle"}

// Node is what the accessibility tree has of an element.
type Node struct{ Role, Name string }

// Controls returns what people can operate, as the browser tells assistive software.
func (p *Page) Controls() []Node {
	p.tb.Helper()
	var list []Node
	for _, n := range p.tree() {
		if slices.Contains(controls, n.Role) {
			list = append(list, n)
		}
	}
	return list
}

// Landmarks returns the landmarks and headings.
func (p *Page) Landmarks() []Node {
	p.tb.Helper()
	var list []Node
	for _, n := range p.tree() {
		switch n.Role {
		case "banner", "main", "navigation", "contentinfo", "region", "heading", "form":
			list = append(list, n)
		}
	}
	return list
}

// Texts returns what there is to read, also where scripts are off.
func (p *Page) Texts() []string {
	p.tb.Helper()
	var list []string
	for _, n := range p.tree() {
		if n.Role == "StaticText" {
			list = append(list, n.Name)
		}
	}
	return list
}

func (p *Page) tree() []Node {
	p.tb.Helper()
	Call(p, accessibility.Enable, cdp.Empty{})
	var list []Node
	for _, n := range Call(p, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if !n.Ignored {
			list = append(list, Node{text(n.Role), text(n.Name)})
		}
	}
	return list
}

func text(v *accessibility.Value) (s string) {
	if v != nil {
		_ = json.Unmarshal([]byte(v.Value), &s) // what is no text has none
	}
	return strings.TrimSpace(s)
}

// Violations loads the page anew without its Content-Security-Policy, waits until ready is true there, and has axe-core look for breaches of
// WCAG 2.2 AA and of good practice. A line tells of each.
func (p *Page) Violations(ready string) []string {
	p.tb.Helper()
	source, err := axe()
	if err != nil {
		p.tb.Fatal(err)
	}
	Call(p, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true})
	p.Do(chromedp.Reload())
	p.Await(ready)
	Value[bool](p, source+"; true")
	Value[bool](p, `window.axed = "", axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(
		(r) => window.axed = JSON.stringify(r.violations.map((v) => v.id + ": " + v.help + ": " + v.nodes.map((n) => n.target + " " + n.failureSummary).join(" | ")))), true`)
	p.Await("window.axed")
	report := Value[string](p, "window.axed")
	var violations []string
	if err := json.Unmarshal([]byte(report), &violations); err != nil {
		p.tb.Fatal(err)
	}
	return violations
}

// axe returns the script that axe/package-lock.json pins; npm puts it into the user's cache, once.
func axe() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	lock, err := axeFiles.ReadFile("axe/package-lock.json")
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "pgrecall", "axe")
	script := filepath.Join(folder, "node_modules", "axe-core", "axe.min.js")
	if installed, err := os.ReadFile(filepath.Join(folder, "installed")); err == nil && bytes.Equal(installed, lock) {
		source, err := os.ReadFile(script)
		return string(source), err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		content, err := axeFiles.ReadFile("axe/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), content, 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = folder
	if output, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, output)
	}
	source, err := os.ReadFile(script)
	if err != nil {
		return "", err
	}
	return string(source), os.WriteFile(filepath.Join(folder, "installed"), lock, 0o600)
}

// CheckNames reports controls without a name.
func (p *Page) CheckNames(t testing.TB) {
	t.Helper()
	all := p.Controls()
	if len(all) == 0 {
		t.Error("the accessibility tree has no controls")
	}
	for _, c := range all {
		if c.Name == "" {
			t.Errorf("a %s has no name", c.Role)
		}
	}
}
