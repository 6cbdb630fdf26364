package test

import "time"

// AwaitReady waits, within a bound, until the catalogs of all databases are known again after a definition
// changed. It returns why they are not.
func (p *Proxy) AwaitReady(bound time.Duration) error {
	for deadline := time.Now().Add(bound); ; time.Sleep(time.Millisecond) {
		err := p.server.Ready()
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// Reasons returns what became of statements, and why reads were not answered from the cache, for people.
func (p *Proxy) Reasons() map[string]int64 {
	status := p.server.Status()
	reasons := status.Bypasses
	for outcome, n := range status.Outcomes {
		reasons["outcome "+outcome] = n
	}
	return reasons
}
