package proxy

import (
	"fmt"
	"time"

	"github.com/pgrecall/pgrecall/proxy/traffic"
)

// judgeEvery is how often it is found out which shapes lose by being cached.
const judgeEvery = 30 * time.Second

// Stopped is a shape that is not cached for a while because that costs more than it saves.
type Stopped = traffic.Stopped

// SetAuto turns on or off that shapes which lose by being cached are not cached for a while.
func (srv *Server) SetAuto(on bool) {
	if was := srv.auto.Swap(on); was && !on && srv.judge.Clear() {
		srv.renewPolicy(nil)
	}
}

// Stopped returns the shapes that are not cached because that does not pay.
func (srv *Server) Stopped() []Stopped { return srv.judge.Stopped() }

// runJudge judges until the server stops.
func (srv *Server) runJudge() {
	tick := time.NewTicker(judgeEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			srv.judgeShapes(now)
		case <-srv.ctx.Done():
			return
		}
	}
}

func (srv *Server) judgeShapes(now time.Time) {
	if !srv.auto.Load() {
		return
	}
	stop, again := srv.judge.Look(now)
	for i := range stop {
		s := &stop[i]
		srv.Logger.Info("a shape is not cached for a while: that costs more than it saves", "fingerprint", fmt.Sprintf("%016x", s.Fingerprint), "database", s.Database,
			"query", s.Query, "hit_rate", s.Worth.HitRate, "break_even", s.Worth.BreakEven, "until", s.Until)
	}
	for i := range again {
		srv.Logger.Info("a shape is cached again, to see whether that pays now", "fingerprint", fmt.Sprintf("%016x", again[i].Fingerprint), "database", again[i].Database)
	}
	if len(stop)+len(again) > 0 {
		srv.renewPolicy(nil)
	}
}
