package main

import (
	"github.com/pgrecall/pgrecall/config"
)

// supported refuses what the configuration knows and this version lacks. Running without would
// be worse than not running: somebody relies on it.
func supported(c *config.Config) error {
	switch {
	case c.Redis != "":
		return &config.Error{Path: "cache.redis", What: "a Redis is not in this version yet (--redis)"}
	case c.Replication == "on":
		return &config.Error{Path: "replication.mode", What: "on is not in this version yet (--replication on)"}
	}
	return nil
}
