// Package page holds the status page to what it promises, in a real Chromium, with figures of all kinds. It must never need a database: the page in
// front of a real one is tested by cmd/pgrecall.
package page
