package memcached

import (
	"context"
	"errors"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// Claim implements [cache.Remote]. What a flush made invisible goes on holding its name.
func (s *Store) Claim(ctx context.Context, name string, ttl time.Duration) (bool, error) {
	return run(ctx, s, "claim", func() (bool, error) {
		seconds, err := expiration(ttl)
		if err != nil {
			return false, err
		}
		current, err := s.currentGeneration(namespaceOf(name))
		if err != nil {
			return false, err
		}
		err = s.client.Add(&memcache.Item{Key: itemKey(name), Value: wrap(nil, current), Expiration: seconds})
		if errors.Is(err, memcache.ErrNotStored) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		s.written.Add(1)
		return true, nil
	})
}
