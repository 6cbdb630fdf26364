package proxy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/wire"
)

// upstreamFailure is what went wrong with the upstream: the label of pgrecall_upstream_errors_total.
type upstreamFailure uint8

const (
	upstreamStatement upstreamFailure = iota // the server refused a statement
	upstreamServer                           // it speaks of its own state: out of resources, shutting down, an internal error
	upstreamLogin                            // it refused a client's login
	upstreamConnect                          // it could not be reached
	upstreamLost                             // a connection ended without a word
	upstreamFailures
)

var upstreamFailureNames = [...]string{
	upstreamStatement: "statement", upstreamServer: "server", upstreamLogin: "login", upstreamConnect: "connect", upstreamLost: "lost",
}

// upstreamFailureOf classifies an ErrorResponse by its SQLSTATE (PostgreSQL documentation, appendix "PostgreSQL Error Codes"); nil is one too long to be
// looked at.
func upstreamFailureOf(message []byte) upstreamFailure {
	if message == nil {
		return upstreamStatement
	}
	code := string(wire.ErrorField(message[wire.HeaderSize:], 'C'))
	if len(code) != 5 {
		return upstreamServer
	}
	switch class := code[:2]; {
	case code == codeQueryCanceled, code == codeIdleSession:
		return upstreamStatement
	case class == "08", class == "53", class == "57", class == "58", class == "XX":
		return upstreamServer
	case class == "28", class == "3D":
		return upstreamLogin
	}
	return upstreamStatement
}

// catalogCollector reports how new the knowledge of definitions and rights is.
type catalogCollector struct{ srv *Server }

var (
	descCatalogReady    = prometheus.NewDesc("pgrecall_catalog_ready", "Whether definitions and rights of a database are known: without that nothing of it is cached.", []string{"database"}, nil)
	descCatalogAge      = prometheus.NewDesc("pgrecall_catalog_age_seconds", "Time since definitions and rights of a database were read, or found to be the same.", []string{"database"}, nil)
	descCatalogInterval = prometheus.NewDesc("pgrecall_catalog_interval_seconds", "How old that may become: changes of definitions and rights past pgrecall are noticed within it.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c catalogCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- descCatalogReady
	ch <- descCatalogAge
	ch <- descCatalogInterval
}

// Collect implements prometheus.Collector.
func (c catalogCollector) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(descCatalogInterval, prometheus.GaugeValue, c.srv.CatalogInterval.Seconds())
	for _, d := range c.srv.allDatabases() {
		ch <- prometheus.MustNewConstMetric(descCatalogReady, prometheus.GaugeValue, truth(d.snapshot() != nil && d.settled.Load()), d.name)
		if d.watcher == nil {
			continue
		}
		if looked := d.watcher.Looked(); !looked.IsZero() {
			ch <- prometheus.MustNewConstMetric(descCatalogAge, prometheus.GaugeValue, time.Since(looked).Seconds(), d.name)
		}
	}
}
