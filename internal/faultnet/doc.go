// Package faultnet is a TCP proxy for tests that breaks what passes through it: latency, stalls, resets, answers that end in
// the middle, refused connections.
package faultnet
