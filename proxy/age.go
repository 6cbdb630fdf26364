package proxy

import (
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/codec"
)

// clockSlack is by how much the clocks of two hosts may differ without a result in L2 looking older than it is.
const clockSlack = time.Second

// age returns how old a result from L2 is, at least, given what the store says of its remaining lifetime.
//
// The store counts by one clock, but anybody who can write to it can make a lifetime longer (PEXPIRE). What the entry itself says can't be
// edited, but was said by another host's clock. So the older of the two counts: a clock that is wrong by more than the slack makes results expire too
// early or leaves it to the store, and never lets them live longer.
func age(item *codec.Item, remaining time.Duration, now time.Time) time.Duration {
	byClock := now.Sub(time.Unix(0, item.Created))
	if remaining == cache.UnknownLifetime {
		return max(byClock, 0)
	}
	return max(item.TTL-remaining, byClock-clockSlack, 0)
}
