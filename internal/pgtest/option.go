package pgtest

import "strings"

// Option changes how a server is started.
type Option func(*options)

type options struct {
	version string
	bin     string
	config  []string
	hba     []string
	tls     bool
}

// WithVersion asks for a major version of PostgreSQL, "13" to "18". Without it
// $PGRECALL_TEST_PG_VERSION is asked for, and when that is not set either, the server is the
// one that $PGRECALL_TEST_PG_BIN names, else the newest that the machine has.
func WithVersion(major string) Option {
	return func(o *options) { o.version = major }
}

// WithBin takes the binaries in a directory, whatever else asks for others.
func WithBin(directory string) Option {
	return func(o *options) { o.bin = directory }
}

// WithConfig appends lines to postgresql.conf; a later line wins over an earlier one.
func WithConfig(lines ...string) Option {
	return func(o *options) { o.config = append(o.config, lines...) }
}

// WithHBA puts lines before those of pg_hba.conf, so that they win: the default lines trust
// everybody.
func WithHBA(lines ...string) Option {
	return func(o *options) { o.hba = append(o.hba, lines...) }
}

// WithTLS makes the server accept TLS with a certificate for localhost and 127.0.0.1 that is
// signed by the authority in [Server.CAFile].
func WithTLS() Option {
	return func(o *options) { o.tls = true }
}

// configuration returns the lines that follow the defaults of initdb in postgresql.conf.
func (o *options) configuration(s *Server) string {
	lines := []string{
		"listen_addresses = '127.0.0.1'",
		"port = " + s.port,
		"unix_socket_directories = '" + s.socketDir + "'",
		"fsync = off",
		"full_page_writes = off",
		"shared_buffers = 32MB",
		"max_connections = 200",
		"max_prepared_transactions = 10",
		"timezone = 'UTC'",
		"log_timezone = 'UTC'",
		"log_line_prefix = '%m [%p] %q%u@%d '",
	}
	if o.tls {
		lines = append(lines, "ssl = on", "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'")
	}
	lines = append(lines, o.config...)
	return "\n" + strings.Join(lines, "\n") + "\n"
}

// authentication returns pg_hba.conf.
func (o *options) authentication() string {
	lines := append([]string(nil), o.hba...)
	lines = append(lines,
		"local all all trust",
		"host all all all trust",
		"local replication all trust",
		"host replication all all trust",
	)
	return strings.Join(lines, "\n") + "\n"
}
