package linear

import (
	"context"
	"net"
	"sync"
	"time"
)

// direction of a stream, as the pumps of a relay and the wrapped sockets see it.
type direction uint8

const (
	toServer direction = iota
	toClient
)

func (d direction) String() string { return [...]string{"to server", "to client"}[d] }

// cutSocket is a client's connection that can be made to break after a number of bytes.
type cutSocket struct {
	net.Conn
	mu     sync.Mutex
	armed  [2]bool
	left   [2]int // bytes that still pass
	reset  bool
	wasCut bool
}

// dialCut connects; pgconn takes it as its DialFunc.
func dialCut(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 2 * time.Second}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &cutSocket{Conn: conn}, nil
}

// arm makes the connection break after n more bytes of the direction: with a reset, or in order.
func (c *cutSocket) arm(d direction, n int, reset bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed[d], c.left[d], c.reset = true, n, reset
}

// disarm lets the connection live. It reports whether it has been cut.
func (c *cutSocket) disarm() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = [2]bool{}
	return c.wasCut
}

// Write passes on what may pass, and breaks then.
func (c *cutSocket) Write(b []byte) (int, error) {
	c.mu.Lock()
	if !c.armed[toServer] || len(b) < c.left[toServer] {
		if c.armed[toServer] {
			c.left[toServer] -= len(b)
		}
		c.mu.Unlock()
		return c.Conn.Write(b)
	}
	n := c.left[toServer]
	c.mu.Unlock()
	n, _ = c.Conn.Write(b[:n])
	c.cut()
	return n, net.ErrClosed
}

// Read returns what may still pass, and breaks then.
func (c *cutSocket) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	if !c.armed[toClient] || n < c.left[toClient] {
		c.left[toClient] -= n
		c.mu.Unlock()
		return n, err
	}
	n = c.left[toClient]
	c.left[toClient] = 0
	c.mu.Unlock()
	c.cut()
	if n > 0 {
		return n, nil // the next Read fails
	}
	return 0, net.ErrClosed
}

func (c *cutSocket) cut() {
	c.mu.Lock()
	c.wasCut = true
	reset := c.reset
	c.mu.Unlock()
	if tcp, ok := c.Conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
