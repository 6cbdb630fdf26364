// Package admin is the HTTP server for operators: metrics, health, a status page, its JSON,
// flushing and pausing the cache, explaining statements and allowing what a verification stopped.
//
// It must never show passwords, rows, parameter values or SQL texts with their constants (hot keys excepted, to those who have the token), never hold a client's
// statement up, and never change anything by a request that a browser sends on its own (GET,
// HEAD, or anything with a Host header of somebody else's name).
package admin
