package linear

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// relay stands between pgrecall and the server and breaks connections.
type relay struct {
	target   string
	listener net.Listener
	work     sync.WaitGroup

	// harm is done, once, to the next connection of pgrecall's own; nil for none.
	harm atomic.Pointer[func(*link)]

	mu     sync.Mutex
	closed bool
	links  []*link // in the order of their coming
}

// link is one connection through the relay.
type link struct {
	relay          *relay
	client, server net.Conn // towards pgrecall, towards the server
	ended          chan struct{}

	passed [2]atomic.Int64 // bytes by direction
	pid    atomic.Uint32   // of the server's backend, once it has told

	mu      sync.Mutex
	catalog bool          // pgrecall's own
	faults  [2]*fault     // by direction
	stalled chan struct{} // not nil: both directions wait until it is closed
	gone    bool          // cut or ended
}

// fault breaks a link after a number of bytes.
type fault struct {
	after int // bytes of the direction that still pass
	// late: pgrecall's side breaks at once, and the server gets what it may get when the channel is closed, as it does from a network that
	// delivers what was sent before the connection broke. nil: both sides break at once. It is for the direction to the server alone.
	late  <-chan struct{}
	reset bool // the server's side is reset, so that what it has not read is lost
}

// drainTime bounds how long what a server says after a cut is read.
const drainTime = 30 * time.Second

// newRelay listens on a port of its own and connects to the target.
func newRelay(target string) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{target: target, listener: l}
	r.work.Go(r.accept)
	return r, nil
}

func (r *relay) address() string { return r.listener.Addr().String() }

// close breaks all links and waits for the relay's goroutines.
func (r *relay) close() {
	r.mu.Lock()
	r.closed = true
	links := r.links
	r.mu.Unlock()
	_ = r.listener.Close()
	for _, l := range links {
		l.cut(true)
	}
	r.work.Wait()
}

func (r *relay) accept() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		r.work.Go(func() { r.connect(conn) })
	}
}

func (r *relay) connect(client net.Conn) {
	server, err := net.DialTimeout("tcp", r.target, 2*time.Second)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{relay: r, client: client, server: server, ended: make(chan struct{})}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		l.cut(true)
		return
	}
	r.links = append(r.links, l)
	r.mu.Unlock()
	var pumps sync.WaitGroup
	pumps.Go(func() { l.pump(toServer, client, server) })
	pumps.Go(func() { l.pump(toClient, server, client) })
	pumps.Wait()
	_, _ = client.Close(), server.Close()
	close(l.ended)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.links {
		if r.links[i] == l {
			r.links = append(r.links[:i:i], r.links[i+1:]...)
			break
		}
	}
}

// all returns the links of the moment: pgrecall's own ones, or those of its clients.
func (r *relay) all(own bool) []*link {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*link
	for _, l := range r.links {
		if l.isCatalog() == own {
			found = append(found, l)
		}
	}
	return found
}

func (l *link) isCatalog() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.catalog
}

// of returns the link of a backend, nil when there is none.
func (r *relay) of(pid uint32) *link {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.links {
		if l.pid.Load() == pid {
			return l
		}
	}
	return nil
}

// keyData finds the process number in the messages before the first ReadyForQuery, which the server sends at once; 0 when it is not there.
func keyData(b []byte) uint32 {
	for len(b) >= 5 {
		size := 1 + int(binary.BigEndian.Uint32(b[1:]))
		if b[0] == 'K' && len(b) >= 9 {
			return binary.BigEndian.Uint32(b[5:])
		}
		if size > len(b) {
			break
		}
		b = b[size:]
	}
	return 0
}

// pump copies one direction until it ends or a fault breaks it.
func (l *link) pump(d direction, from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for first := true; ; first = false {
		n, err := from.Read(buf)
		if n > 0 {
			if first && d == toServer && bytes.Contains(buf[:n], []byte("application_name\x00pgrecall\x00")) {
				l.mu.Lock()
				l.catalog = true
				l.mu.Unlock()
				if harm := l.relay.harm.Swap(nil); harm != nil {
					(*harm)(l)
				}
			}
			if d == toClient && l.pid.Load() == 0 {
				l.pid.Store(keyData(buf[:n]))
			}
			if !l.pass(d, to, buf[:n]) {
				if d == toClient { // the server goes on while somebody reads: it must not stop at a reset
					_ = from.SetReadDeadline(time.Now().Add(drainTime))
					_, _ = io.Copy(io.Discard, from)
				}
				return
			}
		}
		if err != nil {
			halfClose(to)
			if d == toClient { // nothing can be answered any more
				l.cut(false)
			}
			return
		}
	}
}

// pass forwards bytes unless a fault says otherwise; false when the link is broken.
func (l *link) pass(d direction, to net.Conn, b []byte) bool {
	l.mu.Lock()
	stalled := l.stalled
	l.mu.Unlock()
	if stalled != nil {
		<-stalled
	}
	l.mu.Lock()
	if stalled != nil && l.gone {
		l.mu.Unlock()
		return false
	}
	l.passed[d].Add(int64(len(b)))
	f := l.faults[d]
	if f == nil || len(b) < f.after {
		if f != nil {
			f.after -= len(b)
		}
		l.mu.Unlock()
		_, err := to.Write(b)
		return err == nil
	}
	l.mu.Unlock()
	b = b[:f.after]
	if f.late == nil {
		_, _ = to.Write(b)
		l.cut(f.reset)
		return false
	}
	_ = l.client.Close()
	<-f.late
	_, _ = to.Write(b)
	halfClose(to)
	return false // the other pump ends with the server
}

// arm sets the fault of a direction; nil takes it back.
func (l *link) arm(d direction, f *fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults[d] = f
}

// stall holds everything up until the function that it returns is called.
func (l *link) stall() (resume func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stalled != nil || l.gone {
		return func() {}
	}
	ch := make(chan struct{})
	l.stalled = ch
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.stalled == ch {
			l.stalled = nil
			close(ch)
		}
	}
}

// cut breaks both sides. With reset the server loses what it has not read, else it works that off.
func (l *link) cut(reset bool) {
	l.mu.Lock()
	l.gone = true
	if l.stalled != nil {
		close(l.stalled)
		l.stalled = nil
	}
	l.mu.Unlock()
	_ = l.client.Close()
	if reset {
		if tcp, ok := l.server.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = l.server.Close()
		return
	}
	halfClose(l.server)
}

func halfClose(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}
