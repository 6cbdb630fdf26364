// Package boards holds the boards for Grafana to the types that Grafana publishes for them (npm's @grafana/schema). What they show is tested in
// cmd/pgrecall, with a Prometheus that scrapes a loaded fleet.
package boards
