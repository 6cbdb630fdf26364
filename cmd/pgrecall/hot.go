package main

import (
	"fmt"

	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/proxy"
	"github.com/pgrecall/pgrecall/warm"
)

// hotKeys is how many queries are remembered: none where nobody could ask for them.
func hotKeys(c *config.Config) int {
	if c.AdminToken == "" && c.Warm.Top == 0 {
		return 0
	}
	return c.Warm.HotKeys
}

// Hot returns hot keys as warming reads them.
func (i *instance) Hot(n int) ([]warm.Query, bool) {
	if hotKeys(i.config) == 0 {
		return nil, false
	}
	return hotQueries(i.engine.Hot(n)), true
}

func hotQueries(hot []proxy.HotQuery) []warm.Query {
	queries := make([]warm.Query, len(hot))
	for i := range hot {
		h := &hot[i]
		q := warm.Query{
			SQL: h.Text, Protocol: warm.Simple, ParamTypes: h.Types, ParamFormats: h.ParamFormats, ResultFormats: h.ResultFormats,
			Database: h.Database, User: h.User, Session: h.Session, Scope: h.Scope, Settings: h.Settings,
			Fingerprint: fmt.Sprintf("%016x", h.Fingerprint), Uses: h.Uses,
		}
		if h.Extended {
			q.Protocol = warm.Extended
		}
		if h.Role != h.User {
			q.Role = h.Role
		}
		for _, value := range h.Params {
			q.Params = append(q.Params, warm.Param(value))
		}
		queries[i] = q
	}
	return queries
}
