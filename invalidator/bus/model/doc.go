// Package model is the protocol of invalidator/bus with everything left out that does not order events: some proxies, one row, the log, what is cached
// in the processes and in L2. Explore runs through all interleavings of its steps and of failures and looks for a read that is older than what
// somebody knew when it began. Each step of the protocol can be left out.
//
// There are no clocks in it. What leases promise are conditions of steps: nobody is declared missing who can be Live by his own clock, and nobody goes on
// without the log while somebody trusts him. That the parts of a lease keep these promises is arithmetic: see invalidator/bus.
package model
