package redis

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache"
)

// flushBatch is how many names one SCAN looks at, and so the most that one pipeline removes: about a
// millisecond in which Redis does nothing else.
const flushBatch = 500

// Flush implements [cache.Remote]. It removes no name that a moved slot of a Cluster carries past it.
func (s *Store) Flush(ctx context.Context, prefix string) (int, error) {
	var removed atomic.Int64
	err := s.eachMaster(ctx, func(ctx context.Context, client *goredis.Client) error {
		cursor := uint64(0)
		for {
			names, next, err := client.Scan(ctx, cursor, pattern(prefix), flushBatch).Result()
			if err != nil {
				return err
			}
			// A part that may be anything matches ':', too, in a pattern.
			names = slices.DeleteFunc(names, func(name string) bool { return !cache.HasRemotePrefix(name, prefix) })
			n, err := unlink(ctx, client, names)
			removed.Add(n)
			if err != nil {
				return err
			}
			if next == 0 {
				return nil
			}
			cursor = next
		}
	})
	s.deleted.Add(uint64(removed.Load()))
	return int(removed.Load()), s.failed(ctx, "flush", err)
}

// unlink removes the names with a command each, since those of several slots may not share one.
func unlink(ctx context.Context, client *goredis.Client, names []string) (int64, error) {
	if len(names) == 0 {
		return 0, nil
	}
	pipe := client.Pipeline()
	replies := make([]*goredis.IntCmd, len(names))
	for i, name := range names {
		replies[i] = pipe.Unlink(ctx, name)
	}
	_, err := pipe.Exec(ctx)
	var removed int64
	for _, reply := range replies {
		removed += reply.Val()
	}
	return removed, err
}

// pattern returns one that matches at least the names with the prefix, in which '*' is the only character that means something else than itself.
func pattern(prefix string) string {
	return strings.NewReplacer(`\`, `\\`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(prefix) + "*"
}
