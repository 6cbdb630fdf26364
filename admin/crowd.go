package admin

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// mostConnections are more than monitoring ever needs, and few beside those of the database's clients.
const mostConnections = 512

// crowd bounds the number of connections, so that those who only sit there take no file descriptors from the data path. A new one is always let in,
// since it may ask whether pgrecall is alive: the connection that has done nothing for the longest time makes room.
type crowd struct {
	most int

	mu    sync.Mutex
	since map[net.Conn]time.Time // of its last change of state
}

func newCrowd() *crowd { return &crowd{most: mostConnections, since: map[net.Conn]time.Time{}} }

// changed is http.Server's ConnState.
func (c *crowd) changed(conn net.Conn, state http.ConnState) {
	if longest := c.note(conn, state); longest != nil {
		_ = longest.Close()
	}
}

// note returns the connection that has to make room, nil for none.
func (c *crowd) note(conn net.Conn, state http.ConnState) (longest net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(c.since, conn)
		return nil
	}
	if _, known := c.since[conn]; !known && state != http.StateNew {
		return nil // it has made room
	}
	if state == http.StateNew && len(c.since) >= c.most {
		for candidate, since := range c.since {
			if longest == nil || since.Before(c.since[longest]) {
				longest = candidate
			}
		}
		delete(c.since, longest)
	}
	c.since[conn] = time.Now()
	return longest
}
