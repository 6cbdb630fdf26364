//go:build !linux

package proxy

import "net"

// hungUp can't be told here without reading: a client that is gone is noticed when the wait is over.
func hungUp(net.Conn) bool { return false }
