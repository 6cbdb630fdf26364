package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache"
)

// Claim implements [cache.Remote].
func (s *Store) Claim(ctx context.Context, name string, ttl time.Duration) (bool, error) {
	if ttl < time.Millisecond {
		return false, s.failed(ctx, "claim", fmt.Errorf("%w: its lifetime is %v", cache.ErrValueRefused, ttl))
	}
	err := s.client.SetArgs(ctx, name, "", goredis.SetArgs{Mode: "NX", TTL: ttl.Truncate(time.Millisecond)}).Err()
	if errors.Is(err, goredis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, s.failed(ctx, "claim", err)
	}
	s.written.Add(1)
	return true, nil
}
