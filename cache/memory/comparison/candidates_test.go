package comparison

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/maypok86/otter/v2"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/memory"
)

// candidate is what the memory tier would need of a library.
type candidate interface {
	Get(key cache.Key) *cache.Entry
	Put(key cache.Key, entry *cache.Entry)
	// Held is the size in bytes of all that can be found at this moment, whether or not the
	// policy has accounted for it yet.
	Held() int64
	// Settle ends maintenance that is pending.
	Settle()
}

type newCandidate struct {
	name string
	make func(limit int64) candidate
}

var candidates = []newCandidate{
	{"otter", func(limit int64) candidate { return newOtter(limit, nil) }},
	{"otter-inline", func(limit int64) candidate { return newOtter(limit, func(f func()) { f() }) }},
	{"lru", func(limit int64) candidate { return newSharded(limit, newLRU) }},
	{"2q", func(limit int64) candidate { return newSharded(limit, newTwoQueue) }},
	{"tier", newTier},
}

// tier is what came of it: the memory tier itself.
type tier struct{ *memory.Cache }

func newTier(limit int64) candidate {
	c, err := memory.New(memory.Options{LimitBytes: limit})
	if err != nil {
		panic(err) // a limit that this file gives
	}
	return tier{c}
}

func (t tier) Held() int64 { return t.Stats().Bytes }
func (t tier) Settle()     {}

// otterCache is W-TinyLFU with a bound by weight. An executor that runs its task at once makes
// the goroutine that writes do the eviction.
type otterCache struct {
	c    *otter.Cache[cache.Key, *cache.Entry]
	held atomic.Int64
}

func newOtter(limit int64, executor func(func())) *otterCache {
	o := &otterCache{}
	o.c = otter.Must(&otter.Options[cache.Key, *cache.Entry]{
		MaximumWeight: uint64(limit),
		Weigher:       func(_ cache.Key, e *cache.Entry) uint32 { return uint32(e.Size()) },
		OnAtomicDeletion: func(e otter.DeletionEvent[cache.Key, *cache.Entry]) {
			o.held.Add(-int64(e.Value.Size()))
		},
		Executor: executor,
	})
	return o
}

func (o *otterCache) Get(key cache.Key) *cache.Entry {
	e, _ := o.c.GetIfPresent(key)
	return e
}

func (o *otterCache) Put(key cache.Key, e *cache.Entry) {
	o.held.Add(int64(e.Size()))
	o.c.Set(key, e)
}
func (o *otterCache) Held() int64 { return o.held.Load() }
func (o *otterCache) Settle()     { o.c.CleanUp() }

// bounded is a cache of one shard, used under its lock.
type bounded interface {
	get(key cache.Key) *cache.Entry
	put(key cache.Key, e *cache.Entry)
	bytes() int64
}

// sharded is what golang-lru needs around it to serve many goroutines: its own locks are one for
// a whole cache, and a Get takes it to write.
type sharded struct {
	shards [16]struct {
		mu sync.Mutex
		c  bounded
		_  [40]byte
	}
}

func newSharded(limit int64, make func(limit int64) bounded) *sharded {
	s := &sharded{}
	for i := range s.shards {
		s.shards[i].c = make(limit / int64(len(s.shards)))
	}
	return s
}

func (s *sharded) Get(key cache.Key) *cache.Entry {
	sh := &s.shards[binary.LittleEndian.Uint16(key[:])%16]
	sh.mu.Lock()
	e := sh.c.get(key)
	sh.mu.Unlock()
	return e
}

func (s *sharded) Put(key cache.Key, e *cache.Entry) {
	sh := &s.shards[binary.LittleEndian.Uint16(key[:])%16]
	sh.mu.Lock()
	sh.c.put(key, e)
	sh.mu.Unlock()
}

func (s *sharded) Held() (n int64) {
	for i := range s.shards {
		s.shards[i].mu.Lock()
		n += s.shards[i].c.bytes()
		s.shards[i].mu.Unlock()
	}
	return n
}
func (s *sharded) Settle() {}

// unbounded is more than there will ever be: golang-lru bounds by number alone.
const unbounded = 1 << 40

// lru is simplelru with the accounting of bytes that it lacks.
type lru struct {
	limit, used int64
	list        *simplelru.LRU[cache.Key, *cache.Entry]
}

func newLRU(limit int64) bounded { return makeLRU(limit) }

func makeLRU(limit int64) *lru {
	l := &lru{limit: limit}
	l.list, _ = simplelru.NewLRU(unbounded, func(_ cache.Key, e *cache.Entry) { l.used -= int64(e.Size()) })
	return l
}

func (l *lru) get(key cache.Key) *cache.Entry {
	e, _ := l.list.Get(key)
	return e
}

func (l *lru) put(key cache.Key, e *cache.Entry) {
	l.list.Remove(key) // Add would replace it without telling
	l.list.Add(key, e)
	for l.used += int64(e.Size()); l.used > l.limit; {
		l.list.RemoveOldest()
	}
}
func (l *lru) bytes() int64 { return l.used }

// twoQueue is 2Q as golang-lru's TwoQueueCache does it, a quarter of the room for what was seen
// once and half as many ghosts as entries, but counting bytes: the original counts entries and
// tells nobody what it evicts.
type twoQueue struct {
	limit            int64
	recent, frequent *lru
	ghosts           *simplelru.LRU[cache.Key, struct{}]
}

func newTwoQueue(limit int64) bounded {
	q := &twoQueue{limit: limit, recent: makeLRU(unbounded), frequent: makeLRU(unbounded)}
	q.ghosts, _ = simplelru.NewLRU[cache.Key, struct{}](unbounded, nil)
	return q
}

func (q *twoQueue) get(key cache.Key) *cache.Entry {
	if e := q.frequent.get(key); e != nil {
		return e
	}
	e, ok := q.recent.list.Peek(key)
	if !ok {
		return nil
	}
	q.recent.list.Remove(key)
	q.frequent.put(key, e)
	return e
}

func (q *twoQueue) put(key cache.Key, e *cache.Entry) {
	switch {
	case q.frequent.list.Contains(key), q.ghosts.Remove(key):
		q.frequent.put(key, e)
	default:
		q.recent.put(key, e)
	}
	for q.bytes() > q.limit {
		if q.recent.used > q.limit/4 || q.frequent.used == 0 {
			key, _, _ := q.recent.list.RemoveOldest()
			q.ghosts.Add(key, struct{}{})
		} else {
			q.frequent.list.RemoveOldest()
		}
	}
	for q.ghosts.Len() > (q.recent.list.Len()+q.frequent.list.Len())/2 {
		q.ghosts.RemoveOldest()
	}
}
func (q *twoQueue) bytes() int64 { return q.recent.used + q.frequent.used }
