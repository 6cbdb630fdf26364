package proxy_test

import (
	"testing"
)

// TestOwnSettingsThatAreRead: an answer that shows one of pgrecall's own settings, or one that only looks so, is never another value's.
func TestOwnSettingsThatAreRead(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		for _, name := range []string{"pgrecall.trace", "pgrecall.consistency", "pgrecall.other", "app.other"} {
			r := start(t, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
			c := r.connect(parameters...)
			words := []string{"off", "session", "off", "session", "session", "off"}
			for range 2 {
				for _, word := range words {
					mustExec(t, c, "SET "+name+" = '"+word+"'")
					for range 2 {
						if got := value(t, c, "SELECT current_setting('"+name+"', true) FROM t"); got != word {
							t.Fatalf("%s is %q, want %q", name, got, word)
						}
					}
				}
			}
		}
	})
}

// TestOwnSettingsShareEntries: a session that traces, or asks for another consistency, is answered from the entries of all others.
func TestOwnSettingsShareEntries(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
		c, heard := r.traced(parameters...)
		mustExec(t, c, "SET pgrecall.consistency = session")
		heard()
		value(t, c, "SELECT id FROM t")
		plain := r.connect(parameters...)
		before := r.hits()
		value(t, plain, "SELECT id FROM t")
		if r.hits() != before+1 {
			t.Errorf("what a traced session has filled is not a hit: %q", heard())
		}
		mustExec(t, plain, "SET TimeZone = 'Asia/Tokyo'")
		value(t, plain, "SELECT id FROM t")
		if r.hits() != before+1 {
			t.Error("another TimeZone shares the entry")
		}
	})
}
