package test

import "time"

// WaitReady waits until the catalogs of all databases are known again, after a definition changed.
func (p *Proxy) WaitReady() {
	p.tb.Helper()
	for deadline := time.Now().Add(readyTimeout); p.server.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.tb.Errorf("pgrecall is not ready: %v", p.server.Ready())
			return
		}
	}
}

// Reasons returns why reads were not answered from the cache, for people.
func (p *Proxy) Reasons() map[string]int64 { return p.server.Status().Bypasses }
