package pgtest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// freePort returns a TCP port of 127.0.0.1 that nobody listened on a moment ago. It lies below
// the range from which Linux takes the ports of outgoing connections (32768 and up), so that
// none of those takes it before the server does.
func freePort() (string, error) {
	const lowest, count, attempts = 20000, 12000, 50
	var failures error
	for range attempts {
		port := strconv.Itoa(lowest + rand.IntN(count))
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			return port, listener.Close()
		}
		failures = err
	}
	return "", errors.Join(errors.New("no free port"), failures)
}
