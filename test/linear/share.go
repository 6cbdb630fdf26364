package linear

import (
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache/codec"
	"github.com/pgrecall/pgrecall/cache/redis"
	"github.com/pgrecall/pgrecall/cache/remote"
	"github.com/pgrecall/pgrecall/invalidator/bus"
	"github.com/pgrecall/pgrecall/proxy"
)

// lease is that of the fleets in the tests: shorter than the default, so that a run sees the end of many.
const lease = 500 * time.Millisecond

// namespace is the part of the names in Redis that the pgrecalls of a fleet have in common.
const namespace = "linear"

// shares is what a pgrecall has in common with others.
type shares struct {
	log   goredis.UniversalClient
	guard *remote.Guard
}

// share makes pgrecall a part of a fleet, as cmd/pgrecall does.
func share(o *proxy.Options, s settings) (*shares, error) {
	options, err := redis.ParseURL(s.Redis)
	if err != nil {
		return nil, err
	}
	universal, err := options.Universal()
	if err != nil {
		return nil, err
	}
	store, err := redis.New(options)
	if err != nil {
		return nil, err
	}
	entries, err := codec.New(codec.Options{})
	if err != nil {
		return nil, err
	}
	sh := &shares{log: goredis.NewUniversalClient(universal), guard: remote.New(store, remote.Options{})}
	o.Fleet = &proxy.Fleet{Strict: !s.Session, Bus: bus.Options{Redis: sh.log, Namespace: namespace, Lease: lease, Logger: o.Logger}}
	o.Shared = &proxy.Shared{Store: sh.guard, Codec: entries, Namespace: namespace}
	return sh, nil
}

func (s *shares) close() {
	if s != nil {
		_, _ = s.guard.Close(), s.log.Close()
	}
}
