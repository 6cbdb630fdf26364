package pgtest

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

func TestRedisClusterHoldsValuesOnAllNodesAndTakesOneBack(t *testing.T) {
	c, err := StartRedisClusterServers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	var addresses []string
	for _, node := range c.Nodes {
		addresses = append(addresses, node.Address())
	}
	client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: addresses})
	defer client.Close()
	for n := range 100 {
		if err := client.Set(t.Context(), strconv.Itoa(n), n, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for i, node := range c.Nodes {
		err := node.admin(func(client *goredis.Client) error {
			size, err := client.DBSize(t.Context()).Result()
			if size == 0 {
				t.Errorf("node %d holds nothing", i)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if err := c.Nodes[1].Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := c.Nodes[1].Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, node := range c.Nodes {
		if _, err := os.Stat(node.directory); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("directory: %v", err)
		}
	}
}

func TestRedisSentinelsPromoteTheReplica(t *testing.T) {
	s := StartRedisSentinel(t)
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	old, err := s.Master(ctx)
	if err != nil || old != s.Servers[0] {
		t.Fatalf("master %v, %v", old, err)
	}
	if err := old.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	err = s.Servers[1].waitFor(ctx, func(client *goredis.Client) (bool, error) {
		role, err := client.Do(ctx, "ROLE").Slice()
		return err == nil && role[0] == "master", err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMemcachedStartsAndGoes(t *testing.T) {
	m, err := StartMemcachedServer(t.Context(), "-m", "64")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.ping(t.Context()); err == nil {
		t.Error("a killed server answers")
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(m.directory); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory: %v", err)
	}
}

func TestRedisSpeaksTLS(t *testing.T) {
	r := StartRedisTLS(t)
	if err := r.ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(r.CAFile()); err != nil {
		t.Error(err)
	}
	if r.TLSAddress() == r.Address() {
		t.Error("one address for both")
	}
}
