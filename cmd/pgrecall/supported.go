package main

import (
	"github.com/pgrecall/pgrecall/config"
)

// supported refuses what the configuration knows and this version lacks. Running without would
// be worse than not running: somebody relies on it.
func supported(c *config.Config) error {
	if c.Replication == "on" {
		return &config.Error{Path: "replication.mode", What: "on is not in this version yet (--replication on)"}
	}
	return nil
}
