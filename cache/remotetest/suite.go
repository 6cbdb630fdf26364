package remotetest

import (
	"bytes"
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cache"
)

// Suite says how to test one implementation.
type Suite struct {
	// New returns the store, which may hold what earlier tests left under their own namespaces. It is closed here.
	New func(t *testing.T) cache.Remote
	// Settle returns when all writes so far can be read; nil where Put and Delete wait for that themselves.
	Settle func(t *testing.T, store cache.Remote)
	// Unit is the unit to which lifetimes are rounded up; 0 means a millisecond.
	Unit time.Duration
	// Coarse is true where lifetimes are unknown and a flush takes the whole namespace.
	Coarse bool
}

// bound is how long one test waits for what must happen.
const bound = 20 * time.Second

// Run runs the contract.
func Run(t *testing.T, s Suite) {
	for name, test := range map[string]func(t *testing.T, s *subject){
		"NothingIsAMiss":             nothingIsAMiss,
		"GetReturnsWhatWasPut":       getReturnsWhatWasPut,
		"ManyAtOnceInOrder":          manyAtOnceInOrder,
		"PutReplaces":                putReplaces,
		"OddNames":                   oddNames,
		"LifetimesCount":             lifetimesCount,
		"LifetimesEnd":               lifetimesEnd,
		"NoLifetimeIsRefused":        noLifetimeIsRefused,
		"OneClaims":                  oneClaims,
		"ClaimsEnd":                  claimsEnd,
		"DeleteRemoves":              deleteRemoves,
		"FlushRemovesItsPrefix":      flushRemovesItsPrefix,
		"FlushTakesNoPatterns":       flushTakesNoPatterns,
		"FlushOfAnyDatabase":         flushOfAnyDatabase,
		"FlushOfMany":                flushOfMany,
		"FlushIsSeenByOthers":        flushIsSeenByOthers,
		"OthersReadWhatWasPut":       othersReadWhatWasPut,
		"CallersFromAllSides":        callersFromAllSides,
		"AnEndedContextEndsTheCall":  anEndedContextEndsTheCall,
		"StatsCount":                 statsCount,
		"CallsAfterCloseFailAtOnce":  callsAfterCloseFailAtOnce,
		"BytesBelongToTheirReceiver": bytesBelongToTheirReceiver,
	} {
		t.Run(name, func(t *testing.T) { test(t, s.subject(t)) })
	}
}

// subject is a store in one test, with a namespace that no other test uses.
type subject struct {
	Suite
	cache.Remote
	ctx       context.Context
	namespace string
}

func (s Suite) subject(t *testing.T) *subject {
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	t.Cleanup(cancel)
	return &subject{Suite: s, Remote: s.open(t), ctx: ctx, namespace: t.Name() + strconv.FormatInt(time.Now().UnixNano(), 36)}
}

func (s Suite) open(t *testing.T) cache.Remote {
	t.Helper()
	store := s.New(t)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return store
}

func (s *subject) name(n uint64) string { return s.tenantName("tenant", n) }

func (s *subject) tenantName(tenant string, n uint64) string {
	return cache.RemoteName(s.namespace, tenant, n%3, cache.Key{byte(n >> 16), byte(n >> 8), byte(n), 1})
}

func (s *subject) settle(t *testing.T) {
	if s.Settle != nil {
		s.Settle(t, s.Remote)
	}
}

// put puts and waits until it can be read.
func (s *subject) put(t *testing.T, name, value string, ttl time.Duration) {
	t.Helper()
	if err := s.Put(s.ctx, name, []byte(value), ttl); err != nil {
		t.Fatalf("put: %v", err)
	}
	s.settle(t)
}

// want checks what is under the name; nil stands for a miss.
func (s *subject) want(t *testing.T, name string, want []byte) cache.Value {
	t.Helper()
	values, err := s.Get(s.ctx, name)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	if len(values) != 1 {
		t.Fatalf("%d values for one name", len(values))
	}
	if got := values[0].Bytes; (got == nil) != (want == nil) || !bytes.Equal(got, want) {
		t.Errorf("%.40q (nil: %v), want %.40q (nil: %v)", got, got == nil, want, want == nil)
	}
	return values[0]
}
