package test

import (
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// Proxied starts pgrecall in front of the server for the time of the test. The options of
// pgrecall are its defaults.
//
// TODO: start proxy.NewServer here and return a target that is a HitCounter as well. Until then
// the scripts run straight at PostgreSQL three times.
func Proxied(tb testing.TB, server *pgtest.Server) Target {
	tb.Helper()
	return Direct{server}
}
