package pgtest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// busDistance is how far above a node's port Redis Cluster's own port is (Redis Cluster specification, "The
// cluster bus").
const busDistance = 10000

// freePort returns a TCP port of 127.0.0.1 that nobody listened on a moment ago, neither on that
// busDistance above it. Both lie below the range from which Linux takes the ports of outgoing
// connections (32768 and up), so that none of those takes them before the server does.
func freePort() (string, error) {
	const lowest, count, attempts = 10000, 32768 - busDistance - 10000, 50
	var failures error
	for range attempts {
		port := lowest + rand.IntN(count)
		if failures = errors.Join(listenOnce(port), listenOnce(port+busDistance)); failures == nil {
			return strconv.Itoa(port), nil
		}
	}
	return "", errors.Join(errors.New("no free port"), failures)
}

// listenOnce fails when something listens on the port.
func listenOnce(port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return listener.Close()
}
