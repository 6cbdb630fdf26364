package browsertest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds each thing that a test does or waits for, on a busy machine.
const patience = 60 * time.Second

// Browser is a Chromium without a window.
type Browser struct {
	tb  testing.TB
	ctx context.Context
}

// Start starts Chromium; it ends with the test.
func Start(tb testing.TB) *Browser {
	tb.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		tb.Fatal("no Chromium (Debian's package chromium has it; .ci/deps installs it)")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(program), chromedp.Flag("disable-component-update", true))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to be root's otherwise
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	tb.Cleanup(func() {
		bound, stop := context.WithTimeout(ctx, patience)
		defer stop()
		if err := chromedp.Cancel(bound); err != nil {
			tb.Logf("Chromium did not end in order: %v", err)
		}
		cancel()
		end()
	})
	if err := chromedp.Do(ctx); err != nil {
		tb.Fatalf("%s: %v", program, err)
	}
	return &Browser{tb, ctx}
}

// View is how a page is shown. The zero value is a light window of 1280 x 900.
type View struct {
	Width, Height int
	Dark, Phone   bool
	WithoutScript bool
}

// Page is a tab.
type Page struct {
	tb  testing.TB
	ctx context.Context
	url string

	mu         sync.Mutex
	complaints []string
	requests   []string
}

// Open opens an address in a tab of its own and waits until it is loaded. The tab is closed with the test.
func (b *Browser) Open(tb testing.TB, address string, v View) *Page {
	tb.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	p := &Page{tb: tb, ctx: ctx, url: address}
	tb.Cleanup(func() {
		cancel()
		if tb.Failed() {
			tb.Logf("complaints: %q", p.Complaints())
		}
	})
	if err := errors.Join(chromedp.Do(ctx), chromedp.Listen(ctx, p.note)); err != nil {
		tb.Fatal(err)
	}
	if v.Width == 0 {
		v.Width, v.Height = 1280, 900
	}
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	Call(p, network.Enable, network.EnableParams{})
	Call(p, log.Enable, cdp.Empty{})
	Call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	Call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: int64(v.Width), Height: int64(v.Height), DeviceScaleFactor: 1, Mobile: v.Phone})
	Call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: v.WithoutScript})
	p.Do(chromedp.Navigate(address))
	return p
}

// note remembers what the page complains of and asks for.
func (p *Page) note(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if slices.Contains([]string{"error", "warning", "assert"}, string(e.Type)) {
			var parts []string
			for _, a := range e.Args {
				parts = append(parts, string(a.Value)+a.Description)
			}
			p.complaints = append(p.complaints, "console: "+strings.Join(parts, " "))
		}
	case *runtime.EventExceptionThrown:
		p.complaints = append(p.complaints, fmt.Sprintf("exception: %s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			p.complaints = append(p.complaints, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	}
}

// Complaints returns errors and warnings of the page so far.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.complaints)
}

// Requests returns what the page has asked for so far, all addresses in full.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Foreign returns the requests to other origins than the page's own.
func (p *Page) Foreign() []string {
	own, err := url.Parse(p.url)
	if err != nil {
		p.tb.Fatal(err)
	}
	return slices.DeleteFunc(p.Requests(), func(address string) bool {
		u, err := url.Parse(address)
		return err == nil && u.Scheme == own.Scheme && u.Host == own.Host
	})
}

// Do does something, within a bound.
func (p *Page) Do(actions ...chromedp.Action[chromedp.Void]) {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.tb.Fatal(err)
	}
}

// Keys types.
func (p *Page) Keys(keys string, options ...chromedp.KeyOption) {
	p.tb.Helper()
	p.Do(chromedp.KeyEvent(keys, options...))
}

// Call gives a command of the protocol, within a bound.
func Call[P, R any](p *Page, command cdp.Command[P, R], parameters P) R {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, parameters)
	if err != nil {
		p.tb.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// Value returns what an expression is worth in the page.
func Value[T any](p *Page, expression string) T {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.tb.Fatalf("%.200s: %v", expression, err)
	}
	return v
}

// Text returns the text of an element.
func (p *Page) Text(id string) string {
	p.tb.Helper()
	return Value[string](p, "document.getElementById('"+id+"').innerText")
}

// Await waits until an expression is true in the page.
func (p *Page) Await(expression string) {
	p.tb.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		if Value[bool](p, "Boolean("+expression+")") {
			return
		}
		if time.Now().After(deadline) {
			p.tb.Fatalf("never true: %s", expression)
		}
	}
}

// Screenshot writes the whole page as PNG into the folder $PGRECALL_SCREENSHOTS, where there is one.
func (p *Page) Screenshot(name string) {
	p.tb.Helper()
	folder := os.Getenv("PGRECALL_SCREENSHOTS")
	if folder == "" {
		return
	}
	beyond := true
	for suffix, parameters := range map[string]page.CaptureScreenshotParams{"": {}, "-whole": {CaptureBeyondViewport: &beyond}} {
		if suffix != "" {
			size := Value[[]float64](p, "[document.documentElement.clientWidth, document.documentElement.scrollHeight]")
			parameters.Clip = &page.Viewport{Width: size[0], Height: size[1], Scale: 1}
		}
		p.save(name+suffix, Call(p, page.CaptureScreenshot, parameters).Data)
	}
}

func (p *Page) save(name string, image []byte) {
	p.tb.Helper()
	if err := os.WriteFile(filepath.Join(os.Getenv("PGRECALL_SCREENSHOTS"), name+".png"), image, 0o600); err != nil {
		p.tb.Fatal(err)
	}
}
