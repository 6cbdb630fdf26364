package main

import (
	"context"
	endian "encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/codec"
	"github.com/pgrecall/pgrecall/cache/redis"
	"github.com/pgrecall/pgrecall/cache/remote"
	"github.com/pgrecall/pgrecall/invalidator"
)

// Names of what takes turns.
const (
	nameGet    = "GET by go-redis"
	nameRaw    = "GET of it uncompressed"
	nameLookup = "lookup to entry"
)

// manyAtOnce is how many ask at once in the second half of the lookups and answers.
const manyAtOnce = 8

// lookups compares the time inside a pgrecall from the lookup to the entry that a client is sent, with a bare GET of the same bytes.
func (s *l2Stage) lookups(ctx context.Context) (all []comparison, err error) {
	options, err := redis.ParseURL(s.redis.URL())
	if err != nil {
		return nil, err
	}
	store, err := redis.New(options)
	if err != nil {
		return nil, err
	}
	// The bound only so that a busy machine does not end the measurement: it costs the same whatever it is.
	guard := remote.New(store, remote.Options{Hang: 5 * time.Second})
	defer func() { err = errors.Join(err, guard.Close()) }()
	if err := guard.WaitUp(ctx); err != nil {
		return nil, err
	}
	secret := codec.Secret{ID: 1}
	for i := range secret.Key {
		secret.Key[i] = byte(i)
	}
	small, large := oneRow(strings.Repeat("Ada Lovelace ", 20)), oneRow(orders(100_000))
	for _, kind := range []struct {
		name string
		item *codec.Item
		keys []codec.Secret
	}{
		{"371 bytes", small, nil},
		{"371 bytes, encrypted", small, []codec.Secret{secret}},
		{"100 kB of JSON, compressed", large, nil},
	} {
		entries, err := codec.New(codec.Options{Keys: kind.keys, MaxEntry: 1 << 20})
		if err != nil {
			return nil, err
		}
		for _, clients := range []int{1, manyAtOnce} {
			c, err := s.lookup(ctx, fmt.Sprintf("%s, %d at once", kind.name, clients), clients, guard, entries, kind.item)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}

func (s *l2Stage) lookup(ctx context.Context, name string, clients int, guard *remote.Guard, entries *codec.Codec, item *codec.Item) (comparison, error) {
	key := cache.Key{1, 2, 3}
	value, err := entries.Encode(nil, key, item)
	if err != nil {
		return comparison{}, err
	}
	place := cache.RemoteName("bench", "postgres", 7, key)
	if err := s.bare.Set(ctx, place, value, time.Hour).Err(); err != nil {
		return comparison{}, err
	}
	source := &cache.Source{}
	stamp := make(invalidator.Stamp, 2)
	bare := func(ctx context.Context, _ int) error {
		got, err := s.bare.Get(ctx, place).Bytes()
		if err == nil && len(got) != len(value) {
			err = errors.New("GET returned something else")
		}
		return err
	}
	lookup := func(ctx context.Context, _ int) error {
		values, err := guard.Get(ctx, place)
		if err != nil {
			return err
		}
		got, err := entries.Decode(key, values[0].Bytes)
		if err != nil {
			return err
		}
		entry := cache.NewEntry(got.Parameters, got.Row, got.Data, stamp, source, cache.Monotonic(), int64(got.Origin))
		if len(entry.Data) != len(item.Data) {
			err = errors.New("the entry is another one")
		}
		return err
	}
	contenders := []contender{{nameGet, bare}, {nameLookup, lookup}}
	if len(value) < len(item.Data) {
		whole := place + ":raw"
		if err := s.bare.Set(ctx, whole, item.Data, time.Hour).Err(); err != nil {
			return comparison{}, err
		}
		contenders = append(contenders, contender{nameRaw, func(ctx context.Context, _ int) error { return s.bare.Get(ctx, whole).Err() }})
	}
	workers := slices.Repeat([][]contender{contenders}, clients)
	return interleave(ctx, name, s.options.l2Rounds+1, 500*time.Millisecond, workers)
}

// oneRow is a result with one column of text.
func oneRow(text string) *codec.Item {
	row := endian.BigEndian.AppendUint16(nil, 1)
	row = append(row, "value\x00"...)
	row = append(row, make([]byte, 6)...)                       // of no table
	row = endian.BigEndian.AppendUint32(row, 25)                // text
	row = append(row, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0) // any length, no modifier, text format
	data := endian.BigEndian.AppendUint16(nil, 1)
	data = endian.BigEndian.AppendUint32(data, uint32(len(text)))
	data = append(data, text...)
	return &codec.Item{
		Position: invalidator.Position{Epoch: 0x1234567890abcdef, Seq: 12345, Nonce: 0xfedcba0987654321},
		TTL:      time.Hour, Created: 1_700_000_000_000_000_000, Origin: 3 * time.Millisecond,
		Row: message('T', row), Data: append(message('D', data), message('C', []byte("SELECT 1\x00"))...),
	}
}

// message frames a message of PostgreSQL's protocol.
func message(kind byte, body []byte) []byte {
	return append(endian.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...)
}

// orders is JSON of about so many bytes, as an application has it.
func orders(size int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteByte('[')
	for n := 0; b.Len() < size; n++ {
		if n > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id": %d, "customer": "customer-%d@example.com", "total": "%d.%02d", "placed": "2026-11-%02dT%02d:%02d:%02d.%06d+00:00", "note": null}`,
			100_000+n, random.IntN(1_000_000), random.IntN(1000), random.IntN(100), 1+random.IntN(28), random.IntN(24), random.IntN(60), random.IntN(60), random.IntN(1_000_000))
	}
	b.WriteByte(']')
	return b.String()
}
