// Package cachetest is the contract of cache.Tier as tests: one suite that runs against every tier.
// A tier may forget and refuse as it likes; what the suite never forgives is an answer that nobody
// put under the key.
package cachetest
