package memcached

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/pgrecall/pgrecall/cache"
)

// Options say where memcached is and how to talk to it.
type Options struct {
	// Addresses are host:port of the servers, or paths of Unix sockets. All proxies must have the same in the same order.
	Addresses []string
	// Timeout bounds each step of a call, connecting included; 0 means 1 s. A call whose context ends leaves earlier.
	Timeout time.Duration
	// MaxIdle is how many connections to each server are kept; 0 means 64.
	MaxIdle int
}

const (
	defaultTimeout = time.Second
	defaultMaxIdle = 64
)

// ParseURL reads memcached://host[:port][,host[:port]...].
func ParseURL(text string) (Options, error) {
	rest, ok := strings.CutPrefix(text, "memcached://")
	if !ok {
		return Options{}, errors.New("memcached: want memcached://host:port")
	}
	var o Options
	for _, host := range strings.Split(strings.TrimSuffix(rest, "/"), ",") {
		host = strings.TrimSpace(host)
		if host == "" || strings.ContainsAny(host, "/@?# ") {
			return Options{}, fmt.Errorf("memcached: %q is no host: want memcached://host:port, several separated by commas", host)
		}
		if _, port, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), "11211")
		} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return Options{}, fmt.Errorf("memcached: %q is no port (in %q)", port, host)
		}
		o.Addresses = append(o.Addresses, host)
	}
	return o, nil
}

// Store is a [cache.Remote] on memcached.
type Store struct {
	client      *memcache.Client
	generations generations
	ctx         context.Context // ends at Close
	cancel      context.CancelCauseFunc

	connections                            atomic.Int64
	hits, misses, written, deleted, errors atomic.Uint64
	bytesRead, bytesWritten                atomic.Uint64
}

// New returns a store. It does not connect: Ping does.
func New(options Options) (*Store, error) {
	list, err := newServers(options.Addresses)
	if err != nil {
		return nil, err
	}
	s := &Store{client: memcache.NewFromSelector(list)}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.client.Timeout, s.client.MaxIdleConns = options.Timeout, options.MaxIdle
	if s.client.Timeout <= 0 {
		s.client.Timeout = defaultTimeout
	}
	if s.client.MaxIdleConns <= 0 {
		s.client.MaxIdleConns = defaultMaxIdle
	}
	s.client.DialContext = s.dial
	return s, nil
}

// dial connects and counts.
func (s *Store) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s.connections.Add(1)
	return &counted{Conn: conn, number: &s.connections}, nil
}

// counted is a connection that counts its end.
type counted struct {
	net.Conn
	number *atomic.Int64
	closed atomic.Bool
}

// Close implements net.Conn.
func (c *counted) Close() error {
	if !c.closed.Swap(true) {
		c.number.Add(-1)
	}
	return c.Conn.Close()
}

// Get implements [cache.Remote]: one round trip to each server, that of the generation included.
func (s *Store) Get(ctx context.Context, names ...string) ([]cache.Value, error) {
	if len(names) == 0 {
		return nil, nil
	}
	return run(ctx, s, "get", func() ([]cache.Value, error) { return s.get(names) })
}

func (s *Store) get(names []string) ([]cache.Value, error) {
	keys := make([]string, 0, len(names)+1)
	for _, name := range names {
		keys = append(keys, itemKey(name))
	}
	namespaces := map[string]bool{}
	for _, name := range names {
		if namespace := namespaceOf(name); !namespaces[namespace] {
			namespaces[namespace] = true
			keys = append(keys, generationKey(namespace))
		}
	}
	items, err := s.client.GetMulti(keys)
	if err != nil {
		return nil, err
	}
	current := map[string]generation{}
	for namespace := range namespaces {
		current[namespace] = s.generations.learn(namespace, items[generationKey(namespace)])
	}
	result := make([]cache.Value, len(names))
	used := map[string]bool{}
	for i, name := range names {
		value, ok := unwrap(items[keys[i]], current[namespaceOf(name)])
		if !ok {
			s.misses.Add(1)
			continue
		}
		if used[name] { // each receiver owns its bytes
			value = append([]byte{}, value...)
		}
		used[name] = true
		result[i] = cache.Value{Bytes: value, Remaining: cache.UnknownLifetime}
		s.hits.Add(1)
		s.bytesRead.Add(uint64(len(value)))
	}
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

// Apply implements [cache.Backend], with a round trip for each write: the client has no pipelines. A value that is too
// large does not keep the others back.
func (s *Store) Apply(ctx context.Context, writes []cache.Write) error {
	if len(writes) == 0 {
		return nil
	}
	_, err := run(ctx, s, "write", func() (struct{}, error) {
		var refused error
		for i := range writes {
			if err := context.Cause(ctx); err != nil {
				return struct{}{}, err
			}
			err := s.apply(&writes[i])
			if errors.Is(err, cache.ErrValueRefused) {
				refused = err
			} else if err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, refused
	})
	return err
}

func (s *Store) apply(write *cache.Write) error {
	key := itemKey(write.Name)
	if write.Delete {
		s.deleted.Add(1)
		if err := s.client.Delete(key); !errors.Is(err, memcache.ErrCacheMiss) {
			return err
		}
		return nil
	}
	seconds, err := expiration(write.TTL)
	if err != nil {
		return err
	}
	current, err := s.currentGeneration(namespaceOf(write.Name))
	if err != nil {
		return err
	}
	err = s.client.Set(&memcache.Item{Key: key, Value: wrap(write.Value, current), Expiration: seconds})
	if err != nil {
		if strings.Contains(err.Error(), "object too large") {
			// The item that was there before is gone, too: memcached sees to that.
			return fmt.Errorf("%w: %d bytes: %w (memcached's option -I allows larger ones)", cache.ErrValueRefused, len(write.Value), err)
		}
		return err
	}
	s.written.Add(1)
	s.bytesWritten.Add(uint64(len(write.Value)))
	return nil
}

// longest is the longest lifetime that memcached takes for one: larger numbers are points in time.
const longest = 30 * 24 * time.Hour

// expiration returns a lifetime in seconds, rounded up.
func expiration(ttl time.Duration) (int32, error) {
	if ttl < time.Millisecond {
		return 0, fmt.Errorf("%w: its lifetime is %v", cache.ErrValueRefused, ttl)
	}
	return int32((min(ttl, longest) + time.Second - 1) / time.Second), nil
}

// Prompt implements [cache.Backend]: the client knows no contexts, so that its calls have goroutines of their own here.
func (s *Store) Prompt() bool { return true }

// Ping implements [cache.Remote].
func (s *Store) Ping(ctx context.Context) error {
	_, err := run(ctx, s, "ping", func() (struct{}, error) { return struct{}{}, s.client.Ping() })
	return err
}

// run runs f and returns with it or with the context, whichever ends first: f ends alone then, at the client's timeout.
func run[T any](ctx context.Context, s *Store, doing string, f func() (T, error)) (T, error) {
	type reply struct {
		result T
		err    error
	}
	var none T
	done := make(chan reply, 1)
	err := context.Cause(ctx)
	if err == nil {
		err = context.Cause(s.ctx)
	}
	if err == nil {
		go func() {
			result, err := f()
			done <- reply{result, err}
		}()
		select {
		case r := <-done:
			if r.err == nil {
				return r.result, nil
			}
			err = r.err
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	s.errors.Add(1)
	return none, fmt.Errorf("memcached: %s: %w", doing, err)
}

// Stats implements [cache.Remote].
func (s *Store) Stats() cache.RemoteStats {
	return cache.RemoteStats{
		Hits: s.hits.Load(), Misses: s.misses.Load(),
		Written: s.written.Load(), Deleted: s.deleted.Load(), Errors: s.errors.Load(),
		BytesRead: s.bytesRead.Load(), BytesWritten: s.bytesWritten.Load(),
		Connections: int(s.connections.Load()),
	}
}

// Close implements [cache.Remote]. Calls under way keep their connections until they end.
func (s *Store) Close() error {
	s.cancel(cache.ErrRemoteClosed)
	if err := s.client.Close(); err != nil {
		return fmt.Errorf("memcached: close: %w", err)
	}
	return nil
}
