package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

const (
	// fleetPhaseLength is how long three members run before one is killed, and after it is back.
	fleetPhaseLength = 5 * time.Second
	// victim is the seat of the one that is killed.
	victim = 1
	// firstReads is how many reads of the new process are looked at by themselves.
	firstReads = 500
	// sampleInterval is the time between two looks at the members' figures.
	sampleInterval = 100 * time.Millisecond
)

var errColdMember = errors.New("the new process answered nothing out of L2: this is a defect, please report it")

// fleetDemo is three pgrecalls that share a Redis, and a load on all of them.
type fleetDemo struct {
	process     *process
	database    *demoDatabase
	redis       string
	arguments   []string // of each member
	environment []string // beside the demo's own
	load        *fleetLoad
	gone        []*member // that were killed
	report      fleetReport

	stopLoad context.CancelFunc
	ended    chan struct{} // closed when the load has
	outcome  error         // what it returned; to be read after that
}

func (p *process) runFleetDemo(ctx context.Context, c *config.Config, length time.Duration) (err error) {
	for _, flag := range p.args {
		if name := strings.TrimLeft(flag, "-"); strings.HasPrefix(name, "listen") {
			return errors.New("demo --fleet finds addresses for three pgrecalls itself: leave --listen out")
		}
	}
	d := &fleetDemo{process: p, redis: c.Redis, ended: make(chan struct{})}
	if d.redis == "" {
		fmt.Fprintln(p.stdout, "starting a throw-away Redis")
		server, err := pgtest.StartRedisServer(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = server.Close() }() // it holds nothing that anybody misses
		d.redis = server.URL()
	}
	if d.database, err = openDemoDatabase(ctx, p, c); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.database.close()) }()
	fmt.Fprintln(p.stdout, "loading sample data")
	if err := d.database.load(ctx); err != nil {
		return err
	}
	d.load = &fleetLoad{database: d.database}
	defer d.close(ctx)
	if err := d.start(ctx, c); err != nil {
		return err
	}
	if err := d.measure(ctx, length); err != nil {
		return err
	}
	d.report.print(p.stdout)
	stale := d.load.stale.Load()
	staysUp := p.env("DEMO_EXIT") != "1"
	if staysUp {
		d.addresses()
	}
	fmt.Fprintf(p.stdout, "\nreads compared with acknowledged writes: %d\nhit rate: %d%%\nstale reads: %d\n", d.load.reads.Load(), d.report.hitRatePercent(), stale)
	if err := d.verdict(stale); err != nil {
		return err
	}
	if staysUp {
		fmt.Fprintln(p.stdout, "\nstill running; Ctrl-C ends it")
		<-ctx.Done()
	}
	return nil
}

// verdict returns an error when the fleet broke a promise.
func (d *fleetDemo) verdict(stale int64) error {
	if stale > 0 {
		return fmt.Errorf("%d stale reads: this is a defect, please report it", stale)
	}
	if d.report.first.Statements["hit_l2"] == 0 {
		return errColdMember
	}
	return nil
}

// start starts the members at once.
func (d *fleetDemo) start(ctx context.Context, c *config.Config) error {
	for _, flag := range d.process.args {
		if strings.TrimLeft(flag, "-") != "fleet" {
			d.arguments = append(d.arguments, flag)
		}
	}
	if c.LogLevel == "info" {
		d.arguments = append(d.arguments, "--log-level", "warn")
	}
	// Not as flags: passwords may be in them, and everybody on the machine can read those.
	d.environment = []string{"PGRECALL_UPSTREAM=" + d.database.upstream.config.ConnString(), "PGRECALL_REDIS=" + d.redis}
	var starting errgroup.Group
	for seat := range members {
		listen, err := freeAddress(port(c.Listen[0], seat))
		if err != nil {
			return err
		}
		adminAddress, err := freeAddress(port(c.Admin, seat))
		if err != nil {
			return err
		}
		starting.Go(func() error {
			m, err := d.startMember(ctx, fmt.Sprintf("proxy %d", seat+1), listen, adminAddress)
			if err != nil {
				return err
			}
			close(m.admission.open)
			d.load.seats[seat].Store(m)
			return nil
		})
	}
	if err := starting.Wait(); err != nil {
		return err
	}
	for seat := range members {
		m := d.load.seats[seat].Load()
		fmt.Fprintf(d.process.stdout, "%s listens on %s, certain after %.1f s: before, what the others do was not known, and its clients had to wait\n", m.name, m.listen, m.readyAfter.Seconds())
	}
	return nil
}

// port returns the port for a seat: those from the configured one on; 0 for any.
func port(address string, seat int) int {
	_, text, err := net.SplitHostPort(address)
	number, notANumber := strconv.Atoi(text)
	if err != nil || notANumber != nil || number == 0 {
		return 0
	}
	return number + seat
}

// measure runs the load, kills a member and starts it again.
func (d *fleetDemo) measure(ctx context.Context, length time.Duration) error {
	reached, err := d.reached(ctx)
	if err != nil {
		return err
	}
	w := &watch{demo: d, began: time.Now()}
	loading, stop := context.WithCancel(ctx)
	defer stop()
	d.stopLoad = stop
	go func() {
		defer close(d.ended)
		d.outcome = d.load.run(loading)
	}()
	if err := w.until(ctx, "three pgrecalls", w.elapsed(length)); err != nil {
		return err
	}
	if err := d.crash(ctx, w, length/5); err != nil {
		return err
	}
	if err := d.comeBack(ctx, w); err != nil {
		return err
	}
	if err := w.until(ctx, "it is back", w.elapsed(length)); err != nil {
		return err
	}
	stop()
	<-d.ended
	if d.outcome != nil {
		return d.outcome
	}
	d.report.collect(d, w)
	now, err := d.reached(ctx)
	d.report.reached = now - reached
	return errors.Join(err, ctx.Err())
}

// reached returns how many of the demo's statements PostgreSQL has executed, 0 where it does not tell.
func (d *fleetDemo) reached(ctx context.Context) (int64, error) {
	if !d.database.counted {
		return 0, nil
	}
	return d.database.statements(ctx)
}

// crash kills the victim, whose clients go to the next member, and lets some time pass.
func (d *fleetDemo) crash(ctx context.Context, w *watch, length time.Duration) error {
	m := d.load.seats[victim].Load()
	if _, err := m.figures(ctx); err != nil {
		return err
	}
	d.report.before = w.rate(victim)
	d.report.killed = time.Now()
	d.load.seats[victim].Store(nil)
	m.kill()
	d.gone = append(d.gone, m)
	return w.until(ctx, m.name+" is killed (SIGKILL)", w.elapsed(length))
}

// comeBack starts the victim's successor and looks at its first reads by themselves.
func (d *fleetDemo) comeBack(ctx context.Context, w *watch) error {
	type started struct {
		member *member
		err    error
	}
	ready := make(chan started, 1)
	old := d.gone[0]
	go func() {
		m, err := d.startMember(ctx, old.name, old.listen, old.admin)
		ready <- started{m, err}
	}()
	var successor started
	if err := w.until(ctx, old.name+" starts again", func() bool {
		select {
		case successor = <-ready:
			return true
		default:
			return false
		}
	}); err != nil {
		if successor = <-ready; successor.member != nil {
			successor.member.kill()
		}
		return err
	}
	if successor.err != nil {
		return successor.err
	}
	m := successor.member
	m.admission = admit(firstReads)
	d.report.back = time.Now()
	d.load.seats[victim].Store(m)
	select {
	case <-m.admission.through:
	case <-d.ended:
		return d.outcome
	case <-ctx.Done():
		return ctx.Err()
	}
	d.report.firstTook = time.Since(d.report.back)
	first, err := m.figures(ctx)
	if err != nil {
		return err
	}
	d.report.first, d.report.readyAfter = first, m.readyAfter
	w.restart(victim, first)
	close(m.admission.open)
	return nil
}

// addresses says where to look and connect while the demo stays up.
func (d *fleetDemo) addresses() {
	line := func(name string, c *pgx.ConnConfig, page string) {
		fmt.Fprintf(d.process.stdout, "%-10s psql -h %s -p %d -U %s %s%s\n", name, c.Host, c.Port, c.User, c.Database, page)
	}
	direct := d.database.upstream.config
	fmt.Fprintln(d.process.stdout)
	for seat := range members {
		m := d.load.seats[seat].Load()
		line(m.name, m.target(direct), "   http://"+m.admin+"/")
	}
	line("direct", direct, "")
	fmt.Fprintf(d.process.stdout, "%-10s redis-cli -u %s\n", "Redis", d.redis)
}

// close ends the load and the members.
func (d *fleetDemo) close(ctx context.Context) {
	if d.stopLoad != nil {
		d.stopLoad()
		<-d.ended
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	for seat := range members {
		if m := d.load.seats[seat].Load(); m != nil {
			m.close(ctx)
		}
	}
}
