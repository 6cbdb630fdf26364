package proxy

import (
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/codec"
)

func TestAge(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct{ since, remaining, want time.Duration }{
		"new":                             {0, time.Minute, 0},
		"both agree":                      {20 * time.Second, 40 * time.Second, 20 * time.Second},
		"clocks differ by little":         {20500 * time.Millisecond, 40 * time.Second, 20 * time.Second},
		"lifetime was made longer":        {50 * time.Second, time.Minute, 49 * time.Second},
		"longer than it ever was":         {50 * time.Second, time.Hour, 49 * time.Second},
		"the writer's clock is ahead":     {-time.Hour, 40 * time.Second, 20 * time.Second},
		"the writer's clock is behind":    {time.Hour, 40 * time.Second, time.Hour - time.Second},
		"put while it was fetched":        {0, 61 * time.Second, 0},
		"no word of the store":            {20 * time.Second, cache.UnknownLifetime, 20 * time.Second},
		"no word, writer's clock ahead":   {-time.Hour, cache.UnknownLifetime, 0},
		"lifetime was made shorter":       {0, time.Second, 59 * time.Second},
		"a lifetime that is over already": {0, 0, time.Minute},
	} {
		item := &codec.Item{TTL: time.Minute, Created: now.Add(-c.since).UnixNano()}
		if got := age(item, c.remaining, now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
