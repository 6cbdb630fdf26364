package faultnet

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy passes TCP connections on to one address. Its methods may be called from any goroutine, and hold for all
// connections, those there and those to come.
type Proxy struct {
	target string
	owned  sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	address  string
	pairs    map[*pair]bool
	fault    fault
	changed  chan struct{} // closed when the fault changes
	accepted int
	closed   bool
}

// fault is what is wrong with the line.
type fault struct {
	latency time.Duration // before each piece, in each direction
	piece   int           // the most bytes that pass at once; 0 means no limit
	stalled bool          // nothing passes, and nothing is lost
	limited bool          // the answers end after budget bytes, all together, with a reset
	once    bool          // the first reset heals that
	budget  int
}

// pair is a client's connection and ours to the target.
type pair struct{ client, server *net.TCPConn }

// Start starts a proxy for one test that passes connections to the target, host:port. It is closed when the test has ended.
func Start(tb testing.TB, target string) *Proxy {
	tb.Helper()
	p := &Proxy{target: target, address: "127.0.0.1:0", pairs: map[*pair]bool{}, changed: make(chan struct{})}
	if err := p.listen(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.set(func(*fault) {}) // wakes those that wait for a stall's end
		p.Refuse()
		p.owned.Wait()
	})
	return p
}

// Address returns host:port for clients.
func (p *Proxy) Address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.address
}

// Accepted returns how many connections have come in so far.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Latency delays each piece of data in each direction; 0 ends that.
func (p *Proxy) Latency(d time.Duration) { p.set(func(f *fault) { f.latency = d }) }

// Pieces lets at most so many bytes pass at once, each piece after the delay of Latency.
func (p *Proxy) Pieces(bytes int) { p.set(func(f *fault) { f.piece = bytes }) }

// Stall lets nothing through, as a partition does: connections stand, new ones are accepted, and what is sent
// arrives when Heal has been called.
func (p *Proxy) Stall() { p.set(func(f *fault) { f.stalled = true }) }

// CutAfter resets a connection in the middle of an answer, when the target has sent so many bytes more on all connections
// together, and all answers after that one.
func (p *Proxy) CutAfter(bytes int) { p.set(func(f *fault) { f.limited, f.budget = true, bytes }) }

// CutOnce resets one connection in the middle of an answer, when the target has sent so many bytes more.
func (p *Proxy) CutOnce(bytes int) {
	p.set(func(f *fault) { f.limited, f.once, f.budget = true, true, bytes })
}

// Heal ends all faults. Connections that were reset stay so.
func (p *Proxy) Heal() error {
	p.set(func(f *fault) { *f = fault{} })
	return p.listen()
}

// Reset resets all connections; new ones are welcome.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pair := range p.pairs {
		pair.reset()
	}
}

// Refuse resets all connections and refuses new ones, as a server that is not there.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	if p.listener != nil {
		_ = p.listener.Close() // it only ever listened
		p.listener = nil
	}
	p.mu.Unlock()
	p.Reset()
}

func (p *Proxy) set(change func(*fault)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.fault)
	close(p.changed)
	p.changed = make(chan struct{})
}

// listen listens on the proxy's address unless it does so.
func (p *Proxy) listen() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil || p.closed {
		return nil
	}
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		return err
	}
	p.listener, p.address = listener, listener.Addr().String()
	p.owned.Go(func() { p.accept(listener) })
	return nil
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.(*net.TCPConn).SetLinger(0) //nolint:errcheck // what a TCP listener accepts is a *net.TCPConn
			_ = client.Close()
			continue
		}
		pair := &pair{client.(*net.TCPConn), server.(*net.TCPConn)} //nolint:errcheck // both are of package net's "tcp"
		p.mu.Lock()
		p.accepted++
		late := p.listener != listener
		p.pairs[pair] = true
		p.mu.Unlock()
		if late {
			pair.reset()
		}
		p.owned.Go(func() { p.pump(pair, pair.client, pair.server, false) })
		p.owned.Go(func() { p.pump(pair, pair.server, pair.client, true) })
	}
}

// pump passes data in one direction until either side ends.
func (p *Proxy) pump(pair *pair, from, to *net.TCPConn, answers bool) {
	defer func() {
		_ = to.CloseWrite() // the other direction may go on
		if answers {
			_ = pair.client.Close()
			_ = pair.server.Close()
			p.mu.Lock()
			delete(p.pairs, pair)
			p.mu.Unlock()
		}
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		for rest := buffer[:n]; len(rest) > 0; {
			n, cut := p.pass(pair, len(rest), answers)
			if _, err := to.Write(rest[:n]); err != nil || cut {
				pair.reset()
				return
			}
			rest = rest[n:]
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				pair.reset()
			}
			return
		}
	}
}

// pass waits until n bytes may pass and returns how many of them do, and whether the connection ends with them.
func (p *Proxy) pass(pair *pair, n int, answers bool) (passing int, cut bool) {
	for {
		p.mu.Lock()
		f, changed, known := p.fault, p.changed, p.pairs[pair]
		if !f.stalled && f.limited && answers {
			passing = min(n, p.fault.budget)
			p.fault.budget -= passing
			if f.once && passing < n {
				p.fault = fault{}
			}
			p.mu.Unlock()
			return passing, passing < n
		}
		closed := p.closed
		p.mu.Unlock()
		if closed || !known {
			return 0, true
		}
		if !f.stalled {
			time.Sleep(f.latency) // the fault itself
			if f.piece > 0 {
				n = min(n, f.piece)
			}
			return n, false
		}
		<-changed
	}
}

// reset ends both connections with a RST where the system allows it.
func (pair *pair) reset() {
	_ = pair.client.SetLinger(0) // closed already otherwise
	_ = pair.client.Close()
	_ = pair.server.Close()
}
