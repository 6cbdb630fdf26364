package proxy_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// TestNoFlightAcrossRoles: of two roles that ask the same at once each waits for its own answer.
func TestNoFlightAcrossRoles(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		// A follower would wait longer than this test does.
		r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.Limits.FlightWait = time.Minute }, append(append([]string(nil), gated...),
			"DO $$ BEGIN CREATE ROLE flight_other; EXCEPTION WHEN duplicate_object THEN NULL; END $$", "GRANT SELECT ON item TO flight_other")...)
		past := r.direct()
		one, other := r.connect(parameters...), r.connect(parameters...)
		mustExec(t, other, "SET ROLE flight_other")
		value(t, one, "SELECT n FROM item") // settings are known from here on
		value(t, other, "SELECT n FROM item")
		mustExec(t, past, "SELECT pg_advisory_lock(7)")
		const sql = "SELECT gate(id)::text, current_user::text FROM item"
		first := ask(one, sql)
		waits(t, past, "1")
		second := ask(other, sql)
		waits(t, past, "2")
		mustExec(t, past, "SELECT pg_advisory_unlock(7)")
		if a := <-first; a.err != nil || a.got != one.Config().User {
			t.Errorf("%q, %v", a.got, a.err)
		}
		if a := <-second; a.err != nil || a.got != "flight_other" {
			t.Errorf("%q, %v", a.got, a.err)
		}
	})
}

// TestFailedLeaderWakesItsFollowers: who waits for an answer that ends in an error asks the server, at once, and gets an error of his own.
func TestFailedLeaderWakesItsFollowers(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.Limits.FlightWait = time.Minute }, gated...)
		past, leader := r.direct(), r.connect(parameters...)
		value(t, leader, "SELECT n FROM item")
		mustExec(t, past, "SELECT pg_advisory_lock(7)")
		const sql = "SELECT (1/(gate(id)-1))::text, n::text FROM item"
		answers := []<-chan answer{ask(leader, sql)}
		waits(t, past, "1")
		for range 4 {
			follower := r.connect(parameters...)
			value(t, follower, "SELECT n FROM item")
			answers = append(answers, ask(follower, sql))
		}
		for range 20 { // round trips, so that the followers have come
			value(t, r.connect(), "SELECT n FROM item")
		}
		mustExec(t, past, "SELECT pg_advisory_unlock(7)")
		late := time.After(20 * time.Second)
		for i, c := range answers {
			select {
			case a := <-c:
				var refused *pgconn.PgError
				if !errors.As(a.err, &refused) || refused.Code != "22012" {
					t.Errorf("%d: %q, %v, want a division by zero", i, a.got, a.err)
				}
			case <-late:
				t.Fatalf("%d still waits for the one who failed", i)
			}
		}
	})
}

// TestFollowersHaveTheirOwnStatus: the leader is idle, its follower is in a transaction block.
func TestFollowersHaveTheirOwnStatus(t *testing.T) {
	r := start(t, gated...)
	past, leader, follower := r.direct(), r.connect("default_query_exec_mode=simple_protocol"), r.session()
	value(t, leader, "SELECT n FROM item")
	follower.send(frame('Q', "SELECT n FROM item"))
	follower.untilReady()
	follower.send(frame('Q', "BEGIN"))
	follower.untilReady()
	mustExec(t, past, "SELECT pg_advisory_lock(7)")
	first := ask(leader, "SELECT gate(id)::text, n::text FROM item")
	waits(t, past, "1")
	follower.send(frame('Q', "SELECT gate(id)::text, n::text FROM item"))
	for range 20 { // round trips, so that the follower has come
		value(t, r.connect(), "SELECT n FROM item")
	}
	mustExec(t, past, "SELECT pg_advisory_unlock(7)")
	if a := <-first; a.err != nil || a.got != "1" {
		t.Fatalf("%q, %v", a.got, a.err)
	}
	all := follower.untilReady()
	if status := all[len(all)-1].body[0]; status != 'T' || types(all) != "TDCZ" {
		t.Errorf("%s with status %c, want T", types(all), status)
	}
	if r.hits() == 0 {
		t.Error("the follower asked the server")
	}
}
