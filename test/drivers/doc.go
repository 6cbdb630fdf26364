// Package drivers runs the clients that people use (psql, pgbench, pgx, lib/pq, node-postgres,
// postgres.js) against PostgreSQL and against pgrecall. Each creates a table, inserts, selects,
// updates, selects again and deletes, twice over, and checks every answer.
//
// It must never use a driver's own knowledge of pgrecall: the drivers are as released.
package drivers
