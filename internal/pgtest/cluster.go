package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// clusterSlots is how many hash slots a Redis Cluster has (Redis Cluster specification, "Key distribution model").
const clusterSlots = 16384

// RedisCluster is a Redis Cluster of masters without replicas.
type RedisCluster struct {
	Nodes []*Redis
}

// StartRedisCluster starts a Redis Cluster of three nodes for one test; it is closed when the test has ended. The
// arguments are those of each redis-server. A node that was killed is one of the Cluster again after its Start.
func StartRedisCluster(tb testing.TB, arguments ...string) *RedisCluster {
	tb.Helper()
	c, err := StartRedisClusterServers(tb.Context(), arguments...)
	if err != nil {
		tb.Fatal(err)
	}
	closeAtEnd(tb, "Redis Cluster", c)
	return c
}

// StartRedisClusterServers starts a Redis Cluster of three nodes. The context bounds the start only. The caller
// owns the servers and closes them.
func StartRedisClusterServers(ctx context.Context, arguments ...string) (*RedisCluster, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c := &RedisCluster{}
	arguments = append([]string{"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "1000"}, arguments...)
	for range 3 {
		node, err := StartRedisServer(ctx, arguments...)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.Nodes = append(c.Nodes, node)
	}
	err := c.form(ctx)
	if err == nil {
		err = c.WaitReady(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pgtest: form a Redis Cluster: %w", err), c.Close())
	}
	return c, nil
}

// form gives each node its share of the slots and makes them know each other.
func (c *RedisCluster) form(ctx context.Context) error {
	for i, node := range c.Nodes {
		from, to := clusterSlots*i/len(c.Nodes), clusterSlots*(i+1)/len(c.Nodes)-1
		host, port, err := net.SplitHostPort(c.Nodes[0].Address())
		if err != nil {
			return err
		}
		err = node.admin(func(client *goredis.Client) error {
			// Distinct epochs from the start save the nodes from finding out.
			return errors.Join(
				client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(),
				client.ClusterAddSlotsRange(ctx, from, to).Err(),
				client.ClusterMeet(ctx, host, port).Err())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// WaitReady returns when every node says that the Cluster serves all slots and knows all nodes.
func (c *RedisCluster) WaitReady(ctx context.Context) error {
	for _, node := range c.Nodes {
		err := node.waitFor(ctx, func(client *goredis.Client) (bool, error) {
			info, err := client.ClusterInfo(ctx).Result()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", len(c.Nodes))) &&
				strings.Contains(info, fmt.Sprintf("cluster_slots_ok:%d\r", clusterSlots)), err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// URL returns the Cluster's address as --redis takes it.
func (c *RedisCluster) URL() string {
	var addresses []string
	for _, node := range c.Nodes {
		addresses = append(addresses, node.Address())
	}
	return "redis://" + strings.Join(addresses, ",")
}

// Close ends all nodes at once and removes all that they had. A second Close does nothing.
func (c *RedisCluster) Close() error {
	var err error
	for _, node := range c.Nodes {
		err = errors.Join(err, node.Close())
	}
	return err
}

// admin runs f with a client of this server, whatever else it is a part of.
func (r *Redis) admin(f func(*goredis.Client) error) error {
	client := goredis.NewClient(&goredis.Options{Addr: r.Address(), MaxRetries: -1})
	return errors.Join(f(client), client.Close())
}

// waitFor asks until f returns true. An error counts as not yet.
func (r *Redis) waitFor(ctx context.Context, f func(*goredis.Client) (bool, error)) error {
	return r.admin(func(client *goredis.Client) error {
		for {
			ok, err := f(client)
			if ok && err == nil {
				return nil
			}
			select {
			case <-ctx.Done():
				return errors.Join(ctx.Err(), err)
			case <-time.After(10 * time.Millisecond): // Redis tells nobody when its state changes
			}
		}
	})
}
