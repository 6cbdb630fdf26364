package bus

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestRolledBackLog lets Redis forget the last events under the same run id, as one does that a failover made of a replica and that may not be
// asked for its run id. The numbers of the events that follow were others' before: who acknowledged those has not seen these.
func TestRolledBackLog(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	ctx := t.Context()
	client := redis.NewClient(&redis.Options{Addr: f.redis.Address()})
	defer client.Close()
	writer, reader := f.all[0], f.all[1]
	for round := range 4 {
		var dumps []string
		for _, key := range writer.keys {
			dump, err := client.Dump(ctx, key).Result()
			if err != nil {
				t.Fatal(err)
			}
			dumps = append(dumps, dump)
		}
		for range 5 {
			writer.Release(writer.fence(1), true)
		}
		end := writer.at()
		for _, p := range f.all {
			p.await("all have read the log", func() bool { return p.at().Seq >= end.Seq })
		}
		_, err := client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			for i, key := range writer.keys {
				p.RestoreReplace(ctx, key, time.Hour, dumps[i])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		oid := uint32(100 + round)
		waiting, cancel := context.WithTimeout(ctx, patience)
		token, ok := writer.Fence(waiting, Tags{Database: "db", Relations: []uint32{oid}}, true)
		cancel()
		if !ok {
			t.Fatalf("a write is stuck: %+v", writer.Stats())
		}
		if reader.Live() && !reader.fenced(oid) {
			t.Errorf("round %d: the write may be sent, and another member, which has not seen its fence, answers out of its cache", round)
		}
		writer.Release(token, true)
		for _, p := range f.all {
			p.awaitLive()
		}
	}
}
