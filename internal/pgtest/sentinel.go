package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

// sentinelFile is the file in which a Sentinel is told what to watch, and keeps what it finds out.
const sentinelFile = "sentinel.conf"

// SentinelMaster is the name of the master in a set-up that [StartRedisSentinel] started.
const SentinelMaster = "pgrecall"

// RedisSentinel is a master and a replica with three Sentinels that watch them. The Sentinels take a master for dead half a
// second after its last answer, and need one or two more to promote the replica.
type RedisSentinel struct {
	// Servers are the master and its replica at the start; a failover changes their roles.
	Servers   []*Redis
	Sentinels []*Redis
}

// StartRedisSentinel starts the five servers for one test; they are closed when the test has ended. The arguments are
// those of the two that hold data.
func StartRedisSentinel(tb testing.TB, arguments ...string) *RedisSentinel {
	tb.Helper()
	s, err := StartRedisSentinelServers(tb.Context(), arguments...)
	if err != nil {
		tb.Fatal(err)
	}
	closeAtEnd(tb, "Redis with Sentinels", s)
	return s
}

// StartRedisSentinelServers starts the five servers and returns when a failover is possible. The context bounds the start
// only. The caller owns the servers and closes them.
func StartRedisSentinelServers(ctx context.Context, arguments ...string) (*RedisSentinel, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s := &RedisSentinel{}
	err := s.start(ctx, arguments)
	if err == nil {
		err = s.waitReady(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pgtest: start Redis with Sentinels: %w", err), s.Close())
	}
	return s, nil
}

func (s *RedisSentinel) start(ctx context.Context, arguments []string) error {
	// A replica copies the master's data at once instead of waiting for more replicas.
	arguments = append([]string{"--repl-diskless-sync-delay", "0"}, arguments...)
	master, err := StartRedisServer(ctx, arguments...)
	if err != nil {
		return err
	}
	s.Servers = append(s.Servers, master)
	host, port, err := net.SplitHostPort(master.Address())
	if err != nil {
		return err
	}
	replica, err := StartRedisServer(ctx, append(arguments, "--replicaof", host+" "+port)...)
	if err != nil {
		return err
	}
	s.Servers = append(s.Servers, replica)
	const quorum = 2
	watch := strings.Join([]string{
		"sentinel monitor " + SentinelMaster + " " + host + " " + port + " " + strconv.Itoa(quorum),
		"sentinel down-after-milliseconds " + SentinelMaster + " 500",
		"sentinel failover-timeout " + SentinelMaster + " 3000",
	}, "\n") + "\n"
	for range 3 {
		sentinel, err := startRedis(ctx, &Redis{sentinel: true}, func(r *Redis) error {
			return os.WriteFile(filepath.Join(r.directory, sentinelFile), []byte(watch), 0o600)
		})
		if err != nil {
			return err
		}
		s.Sentinels = append(s.Sentinels, sentinel)
	}
	return nil
}

// waitReady returns when the replica has the master's data and every Sentinel knows the others and the replica.
func (s *RedisSentinel) waitReady(ctx context.Context) error {
	err := s.Servers[1].waitFor(ctx, func(client *goredis.Client) (bool, error) {
		info, err := client.Info(ctx, "replication").Result()
		return strings.Contains(info, "master_link_status:up"), err
	})
	for _, sentinel := range s.Sentinels {
		err = errors.Join(err, s.waitKnows(ctx, sentinel))
	}
	return err
}

func (s *RedisSentinel) waitKnows(ctx context.Context, sentinel *Redis) error {
	return sentinel.waitFor(ctx, func(client *goredis.Client) (bool, error) {
		info, err := client.Info(ctx, "sentinel").Result()
		return strings.Contains(info, fmt.Sprintf("slaves=1,sentinels=%d", len(s.Sentinels))), err
	})
}

// URL returns the address as --redis takes it.
func (s *RedisSentinel) URL() string {
	var addresses []string
	for _, sentinel := range s.Sentinels {
		addresses = append(addresses, sentinel.Address())
	}
	return "redis+sentinel://" + strings.Join(addresses, ",") + "?master=" + SentinelMaster
}

// Master returns the server that all Sentinels take for the master, and waits until they agree.
func (s *RedisSentinel) Master(ctx context.Context) (*Redis, error) {
	var agreed string
	err := s.Sentinels[0].waitFor(ctx, func(*goredis.Client) (bool, error) {
		addresses := map[string]bool{}
		for _, sentinel := range s.Sentinels {
			err := sentinel.admin(func(client *goredis.Client) error {
				parts, err := client.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelMaster).StringSlice()
				if err == nil {
					agreed = net.JoinHostPort(parts[0], parts[1])
					addresses[agreed] = true
				}
				return err
			})
			if err != nil {
				return false, err
			}
		}
		return len(addresses) == 1, nil
	})
	if err != nil {
		return nil, fmt.Errorf("ask the Sentinels: %w", err)
	}
	for _, server := range s.Servers {
		if server.Address() == agreed {
			return server, nil
		}
	}
	return nil, fmt.Errorf("the Sentinels' master %s is none of these servers", agreed)
}

// Close ends all servers at once and removes all that they had. A second Close does nothing.
func (s *RedisSentinel) Close() error {
	var err error
	for _, server := range append(append([]*Redis(nil), s.Sentinels...), s.Servers...) {
		err = errors.Join(err, server.Close())
	}
	return err
}
