package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy/audit"
	"github.com/pgrecall/pgrecall/proxy/observe"
)

// hit is an answer from the cache.
func hit() *observe.Statement {
	return &observe.Statement{
		Who: &observe.Who{User: "app", Database: "shop", Application: `a "b"` + "\xff", Client: "10.0.0.1:4711"}, Role: "tenant", Outcome: "hit_l1", Tier: observe.TierMemory,
		Parsed: parser.Analyze("SELECT name FROM goods WHERE id = 7713"), Tables: []string{"public.goods", `public.Ü"x`},
	}
}

// out is a writer that fails when it is told to, after so many bytes.
type out struct {
	mu   sync.Mutex
	b    bytes.Buffer
	room int // bytes that fit, negative for no bound
	hang chan struct{}
}

func (o *out) Write(p []byte) (int, error) {
	if o.hang != nil {
		<-o.hang
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.room >= 0 && len(p) > o.room {
		n, _ := o.b.Write(p[:o.room])
		o.room = 0
		return n, syscall.ENOSPC
	}
	if o.room >= 0 {
		o.room -= len(p)
	}
	return o.b.Write(p)
}

func (o *out) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *out) grow() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.room = -1
}

type fixture struct {
	*audit.Log
	log      *out
	registry *prometheus.Registry
}

func open(t *testing.T, o audit.Options) *fixture {
	t.Helper()
	f := &fixture{log: &out{room: -1}, registry: prometheus.NewRegistry()}
	o.Logger, o.Registerer, o.Delay = slog.New(slog.NewTextHandler(f.log, nil)), f.registry, 2*time.Millisecond
	var err error
	if f.Log, err = audit.Open(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.close() })
	return f
}

func (f *fixture) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	return f.Close(ctx)
}

func (f *fixture) metric(t *testing.T, name, result string) float64 {
	t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (result == "" || m.GetLabel()[0].GetValue() == result) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatal(name)
	return 0
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		<-tick.C
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// records parses lines, each of which must be an object.
func records(t *testing.T, text string) (list []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, m)
	}
	return list
}

func TestRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	f := open(t, audit.Options{Path: path, What: audit.All})
	before := time.Now().Add(-time.Second)
	f.Ended(hit())
	failed := hit()
	failed.Outcome, failed.Tier, failed.Reason, failed.Failed, failed.Code, failed.Tables, failed.Parsed = "bypass", observe.TierUpstream, "volatile_function", true, "22012", nil, nil
	f.Ended(failed)
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	list := records(t, read(t, path))
	if len(list) != 2 {
		t.Fatal(list)
	}
	at, err := time.Parse(time.RFC3339Nano, list[0]["time"].(string))
	if err != nil || at.Before(before) || at.After(time.Now().Add(time.Second)) {
		t.Error(list[0]["time"], err)
	}
	for _, m := range list {
		delete(m, "time")
	}
	want := map[string]any{"outcome": "hit_l1", "tier": "l1", "user": "app", "database": "shop", "application_name": "a \"b\"\uFFFD", "client": "10.0.0.1:4711", "role": "tenant",
		"fingerprint": fmt.Sprintf("%016x", hit().Fingerprint()), "tables": []any{"public.goods", `public.Ü"x`}}
	if fmt.Sprint(list[0]) != fmt.Sprint(want) {
		t.Errorf("%v\nwant\n%v", list[0], want)
	}
	if m := list[1]; m["error"] != "22012" || m["reason"] != "volatile_function" || m["fingerprint"] != "0000000000000000" || len(m["tables"].([]any)) != 0 {
		t.Error(m)
	}
	if text := read(t, path); strings.Contains(text, "7713") || strings.Contains(text, "name FROM") {
		t.Error(text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
}

func TestHitsOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	f := open(t, audit.Options{Path: path, What: audit.Hits})
	miss := hit()
	miss.Outcome, miss.Tier = "miss", observe.TierUpstream
	f.Ended(miss)
	f.Ended(hit())
	f.Set(audit.All, false)
	f.Ended(miss)
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	if list := records(t, read(t, path)); len(list) != 2 || list[0]["outcome"] != "hit_l1" || list[1]["outcome"] != "miss" {
		t.Error(list)
	}
}

// TestRotation: whole lines, each in exactly one of the files.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit")
	f := open(t, audit.Options{Path: path, What: audit.Hits})
	const writers, each, rotations = 4, 2000, 20
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				f.Ended(hit())
			}
		})
	}
	for i := range rotations {
		if err := os.Rename(path, fmt.Sprintf("%s.%d", path, i)); err != nil {
			t.Fatal(err)
		}
		if err := f.Reopen(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(path + "*")
	n := 0
	for _, file := range files {
		n += len(records(t, read(t, file)))
	}
	lost := f.metric(t, "pgrecall_audit_records_total", "lost")
	if len(files) != rotations+1 || n+int(lost) != writers*each || float64(n) != f.metric(t, "pgrecall_audit_records_total", "written") {
		t.Errorf("%d records in %d files, %v lost", n, len(files), lost)
	}
	if err := f.Reopen(context.Background()); err == nil {
		t.Error("a closed log was opened")
	}
}

// TestReopenFails: the old file stays in use.
func TestReopenFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "audit")
	f := open(t, audit.Options{Path: path, What: audit.Hits, Required: true})
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(context.Background()); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	f.Ended(hit())
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	if list := records(t, read(t, filepath.Join(dir+"2", "audit"))); len(list) != 1 {
		t.Error(list)
	}
}

func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "none", "audit"), fifo} { // nobody reads the pipe
		if _, err := audit.Open(audit.Options{Path: path, Logger: slog.Default(), Registerer: prometheus.NewRegistry()}); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
}

// TestFullDisk: what is not required is lost when the buffer is full, counted and told of; what is written is whole.
func TestFullDisk(t *testing.T) {
	disk := &out{room: 1000}
	f := open(t, audit.Options{Path: audit.Stdout, Output: disk, What: audit.Hits, Limit: 4000})
	const n = 100
	for range n {
		f.Ended(hit())
		if !f.Ready() {
			t.Fatal("not ready")
		}
	}
	eventually(t, "an error", func() bool { return strings.Contains(f.log.String(), "no space left on device") })
	if !strings.Contains(f.log.String(), "records are lost") || f.metric(t, "pgrecall_audit_writable", "") != 0 {
		t.Error(f.log.String())
	}
	for range n {
		f.Ended(hit())
	}
	disk.grow()
	eventually(t, "it is written again", func() bool { return strings.Contains(f.log.String(), "written again") })
	f.Ended(hit())
	if err := f.close(); err != nil {
		t.Error(err)
	}
	written, lost := f.metric(t, "pgrecall_audit_records_total", "written"), f.metric(t, "pgrecall_audit_records_total", "lost")
	if list := records(t, disk.String()); float64(len(list)) != written || written+lost != 2*n+1 || lost == 0 || f.metric(t, "pgrecall_audit_writable", "") != 1 {
		t.Errorf("%d records, %v written, %v lost", len(list), written, lost)
	}
	if lines := strings.Count(f.log.String(), "can't be written"); lines != 1 {
		t.Errorf("told %d times: %s", lines, f.log)
	}
}

// TestRequiredRecordsAreKept: nobody is answered while they can't be written, and none is lost.
func TestRequiredRecordsAreKept(t *testing.T) {
	disk := &out{room: 1000}
	f := open(t, audit.Options{Path: audit.Stdout, Output: disk, What: audit.Hits, Required: true, Limit: 4000})
	n := 0
	for f.Ready() {
		f.Ended(hit())
		n++
	}
	for range 50 { // let through at the same moment
		f.Ended(hit())
		n++
	}
	disk.grow()
	eventually(t, "it is ready again", f.Ready)
	f.Ended(hit())
	n++
	if err := f.close(); err != nil {
		t.Error(err)
	}
	if list := records(t, disk.String()); len(list) != n || f.metric(t, "pgrecall_audit_records_total", "lost") != 0 {
		t.Errorf("%d of %d records", len(list), n)
	}
	if !strings.Contains(f.log.String(), "gives no answers") {
		t.Error(f.log.String())
	}
}

// TestDiskThatHangs: required records must not wait for it for long, and the end of the process waits for it within its bound.
func TestDiskThatHangs(t *testing.T) {
	disk := &out{room: -1, hang: make(chan struct{})}
	f := open(t, audit.Options{Path: audit.Stdout, Output: disk, What: audit.Hits, Required: true, Limit: 1000})
	for f.Ready() {
		f.Ended(hit())
	}
	eventually(t, "it is told", func() bool { return strings.Contains(f.log.String(), "not written in time") })
	if err := f.close(); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	close(disk.hang)
}

// TestEndOnAFullDisk: what is left is counted.
func TestEndOnAFullDisk(t *testing.T) {
	f := open(t, audit.Options{Path: "/dev/full", What: audit.Hits, Required: true})
	f.Ended(hit())
	f.Ended(hit())
	if err := f.close(); err == nil || f.metric(t, "pgrecall_audit_records_total", "lost") != 2 {
		t.Errorf("%v, %s", err, f.log)
	}
}

// TestRotationOnAFullDisk: a line that was cut off in the old file is whole in the new one.
func TestRotationOnAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ) // the write fails instead
	small := limit
	small.Cur = 1000
	f := open(t, audit.Options{Path: path, What: audit.Hits, Required: true})
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	n := 0
	for f.Ready() {
		f.Ended(hit())
		n++
	}
	err := os.Rename(path, path+".1")
	if err == nil {
		err = f.Reopen(context.Background())
	}
	if err := errors.Join(err, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is ready again", f.Ready)
	if err := f.close(); err != nil {
		t.Error(err)
	}
	old := read(t, path+".1")
	whole := old[:strings.LastIndexByte(old, '\n')+1]
	if len(records(t, whole))+len(records(t, read(t, path))) != n {
		t.Errorf("%d and %d of %d records", len(records(t, whole)), len(records(t, read(t, path))), n)
	}
}
