package redis

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache"
)

// Store is a [cache.Remote] on Redis.
type Store struct {
	client goredis.UniversalClient

	hits, misses, written, deleted, errors atomic.Uint64
	bytesRead, bytesWritten                atomic.Uint64
}

// silence takes what go-redis would print to standard error: it all comes back as errors, too.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// New returns a store. It reads the files of certificates, but does not connect: Ping does.
func New(options Options) (*Store, error) {
	universal, err := options.Universal()
	if err != nil {
		return nil, err
	}
	goredis.SetLogger(silence{})
	return &Store{client: goredis.NewUniversalClient(universal)}, nil
}

// Get implements [cache.Remote].
func (s *Store) Get(ctx context.Context, names ...string) ([]cache.Value, error) {
	if len(names) == 0 {
		return nil, nil
	}
	lifetimes := make([]*goredis.DurationCmd, len(names))
	values := make([]*goredis.StringCmd, len(names))
	pipe := s.client.Pipeline()
	for i, name := range names {
		// Somebody may replace the value between the two commands. In this order a new value is told with the old one's
		// lifetime, and so is not taken for younger than it is; in the other order an old value would look new.
		lifetimes[i] = pipe.PTTL(ctx, name)
		values[i] = pipe.Get(ctx, name)
	}
	// What Exec returns is the first command's error, which may be that there is no such value.
	_, pipeErr := pipe.Exec(ctx)
	result := make([]cache.Value, len(names))
	var read, hits uint64
	for i := range names {
		bytes, err := values[i].Bytes()
		switch {
		case errors.Is(err, goredis.Nil), goredis.HasErrorPrefix(err, "WRONGTYPE"): // no value of ours
			continue
		case err != nil:
			return nil, s.failed(ctx, "get", err)
		}
		remaining, err := lifetimes[i].Result()
		if err != nil {
			return nil, s.failed(ctx, "get a lifetime", err)
		}
		if remaining < 0 { // it came in between, or lives for ever and so is not ours
			continue
		}
		result[i] = cache.Value{Bytes: bytes, Remaining: remaining}
		hits++
		read += uint64(len(bytes))
	}
	if pipeErr != nil && !errors.Is(pipeErr, goredis.Nil) && !goredis.HasErrorPrefix(pipeErr, "WRONGTYPE") {
		return nil, s.failed(ctx, "get", pipeErr)
	}
	s.hits.Add(hits)
	s.misses.Add(uint64(len(names)) - hits)
	s.bytesRead.Add(read)
	return result, nil
}

// Put implements [cache.Remote].
func (s *Store) Put(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	return s.Apply(ctx, []cache.Write{{Name: name, Value: value, TTL: ttl}})
}

// Delete implements [cache.Remote].
func (s *Store) Delete(ctx context.Context, names ...string) error {
	writes := make([]cache.Write, len(names))
	for i, name := range names {
		writes[i] = cache.Write{Name: name, Delete: true}
	}
	return s.Apply(ctx, writes)
}

// Apply implements [cache.Backend].
func (s *Store) Apply(ctx context.Context, writes []cache.Write) error {
	if len(writes) == 0 {
		return nil
	}
	var written, deleted, bytes uint64
	pipe := s.client.Pipeline()
	for _, write := range writes {
		switch {
		case write.Delete:
			pipe.Unlink(ctx, write.Name)
			deleted++
		case write.TTL < time.Millisecond:
			return s.failed(ctx, "put", fmt.Errorf("%w: its lifetime is %v", cache.ErrValueRefused, write.TTL))
		default:
			pipe.Set(ctx, write.Name, write.Value, write.TTL.Truncate(time.Millisecond))
			written++
			bytes += uint64(len(write.Value))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return s.failed(ctx, "write", err)
	}
	s.written.Add(written)
	s.deleted.Add(deleted)
	s.bytesWritten.Add(bytes)
	return nil
}

// Prompt implements [cache.Backend]: deadlines are the sockets', and connections are made by goroutines of their own.
func (s *Store) Prompt() bool { return true }

// Ping implements [cache.Remote]: in a Cluster it asks every master.
func (s *Store) Ping(ctx context.Context) error {
	ping := func(ctx context.Context, client *goredis.Client) error { return client.Ping(ctx).Err() }
	return s.failed(ctx, "ping", s.eachMaster(ctx, ping))
}

// eachMaster calls f for every server that holds names of its own, at once where there are several.
func (s *Store) eachMaster(ctx context.Context, f func(context.Context, *goredis.Client) error) error {
	switch client := s.client.(type) {
	case *goredis.ClusterClient:
		return client.ForEachMaster(ctx, f)
	case *goredis.Client:
		return f(ctx, client)
	default:
		return fmt.Errorf("a client of type %T", client)
	}
}

// failed counts an error and explains it; nil stays nil.
func (s *Store) failed(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	s.errors.Add(1)
	// A deadline that became the socket's is told as the socket's timeout.
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", explain(doing, err), cause)
	}
	return explain(doing, err)
}

// Stats implements [cache.Remote].
func (s *Store) Stats() cache.RemoteStats {
	return cache.RemoteStats{
		Hits: s.hits.Load(), Misses: s.misses.Load(),
		Written: s.written.Load(), Deleted: s.deleted.Load(), Errors: s.errors.Load(),
		BytesRead: s.bytesRead.Load(), BytesWritten: s.bytesWritten.Load(),
		Connections: int(s.client.PoolStats().TotalConns),
	}
}

// Close implements [cache.Remote].
func (s *Store) Close() error { return explain("close", s.client.Close()) }
