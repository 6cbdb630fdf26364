package config

import (
	"strings"
	"testing"
)

// TestDefects holds every error of the file to its exact text and place. F stands for the file.
func TestDefects(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":            {"upstrem: postgres://h\n", `F:1: upstrem: unknown key, did you mean "upstream"?`},
		"unknown nested key":     {"cache:\n  mode: on\n  size: 1\n", `F:3: cache.size: unknown key`},
		"flag's name as key":     {"cache:\n  l1-size: 1MiB\n", `F:2: cache.l1-size: unknown key, did you mean "l1_size"?`},
		"key given twice":        {"log:\n  level: info\n  level: debug\n", `F:3: log.level: given twice, first in line 2`},
		"section given twice":    {"log: {level: info}\n\nlog: {level: info}\n", `F:3: log: given twice, first in line 1`},
		"section is a value":     {"cache: on\n", `F:1: cache: want keys with values, got one value`},
		"section is a list":      {"cache:\n  - on\n", `F:2: cache: want keys with values, got a list`},
		"value is a section":     {"upstream:\n  host: x\n", `F:2: upstream: want one value, got keys with values`},
		"value is a list":        {"log:\n  level: [info]\n", `F:2: log.level: want one value, got a list`},
		"file is a list":         {"- a\n", `F:1: want keys with values, got a list`},
		"file is a value":        {"hello\n", `F:1: want keys with values, got one value`},
		"two documents":          {"log: {}\n---\nlog: {}\n", `F:3: a second YAML document: one file holds one configuration`},
		"anchor":                 {"admin: &a\n  token: x\n", `F:1: admin: want keys with values, got an anchor or alias, which is not supported here`},
		"alias":                  {"admin:\n  token: *a\n", `F:2: admin.token: want one value, got an anchor or alias, which is not supported here`},
		"tag":                    {"admin:\n  token: !!str 5\n", `F:2: admin.token: want one value, got a tag, which is not supported here`},
		"not yaml":               {"cache:\n  mode: [on\nlog: {}\n", `F:3: not YAML: ',' or ']' must be specified`},
		"tab":                    {"cache:\n\tmode: on\n", "F:2: not YAML: found character '\t' that cannot start any token"},
		"bad duration":           {"cache:\n  default_ttl: soon\n", `F:2: cache.default_ttl: "soon" is not a duration, such as 60s, 1m30s or 250ms`},
		"duration without unit":  {"cache:\n  default_ttl: 60\n", `F:2: cache.default_ttl: "60" has no unit: write 60s, or ms, m, h`},
		"negative duration":      {"cache:\n  default_ttl: -1s\n", `F:2: cache.default_ttl: "-1s" is negative`},
		"duration of zero":       {"cache:\n  default_ttl: 0s\n", `F:2: cache.default_ttl: "0s" is too short: at least 1ms`},
		"long duration":          {"cache:\n  flight_wait: 2m\n", `F:2: cache.flight_wait: "2m" is too long: at most 60s`},
		"bad size":               {"cache:\n  l1_size: 1 elephant\n", `F:2: cache.l1_size: "1 elephant" is not a size in bytes, such as 256MiB, 512kB or 1000`},
		"negative size":          {"cache:\n  l1_size: -1MiB\n", `F:2: cache.l1_size: "-1MiB" is not a size in bytes, such as 256MiB, 512kB or 1000`},
		"small size":             {"cache:\n  l1_size: 256\n", `F:2: cache.l1_size: "256" is too small: at least 1MiB`},
		"large size":             {"cache:\n  l1_size: 9999999TiB\n", `F:2: cache.l1_size: "9999999TiB" is too large`},
		"size beyond numbers":    {"cache:\n  l1_size: 99999999999999999999\n", `F:2: cache.l1_size: "99999999999999999999" is too large`},
		"bad word":               {"cache:\n  mode: maybe\n", `F:2: cache.mode: "maybe" is not one of on, off, shadow`},
		"boolean for a word":     {"cache:\n  mode: true\n", `F:2: cache.mode: "true" is not one of on, off, shadow`},
		"bad share":              {"cache:\n  verify: often\n", `F:2: cache.verify: "often" is not a share, such as 0.1%, 0.001 or off`},
		"negative share":         {"cache:\n  verify: -1%\n", `F:2: cache.verify: "-1%" is not a share, such as 0.1%, 0.001 or off`},
		"share of nothing":       {"cache:\n  verify: '%'\n", `F:2: cache.verify: "%" is not a share, such as 0.1%, 0.001 or off`},
		"share no number":        {"cache:\n  verify: .nan\n", `F:2: cache.verify: ".nan" is not a share, such as 0.1%, 0.001 or off`},
		"share in hexadecimal":   {"cache:\n  verify: 0x0p0\n", `F:2: cache.verify: "0x0p0" is not a share, such as 0.1%, 0.001 or off`},
		"large share":            {"cache:\n  verify: 100.1%\n", `F:2: cache.verify: "100.1%" is too large: at most 100%`},
		"share without unit":     {"cache:\n  verify: 1\n", `F:2: cache.verify: "1" has no percent sign: write 1%, or 100% for all`},
		"bad factor":             {"cache:\n  early_refresh: often\n", `F:2: cache.early_refresh: "often" is not a number from 0 to 100, or off`},
		"large factor":           {"cache:\n  early_refresh: 101\n", `F:2: cache.early_refresh: "101" is not a number from 0 to 100, or off`},
		"factor no number":       {"cache:\n  early_refresh: .nan\n", `F:2: cache.early_refresh: ".nan" is not a number from 0 to 100, or off`},
		"bad consistency":        {"cache:\n  consistency: eventual\n", `F:2: cache.consistency: "eventual" is not one of strict, session, ttl`},
		"bad number":             {"limits:\n  max_connections: 0\n", `F:2: limits.max_connections: "0" is not a number from 1 to 262144`},
		"bad time of day":        {"warm:\n  at: [start, '6:30']\n", `F:2: warm.at: "6:30" is not a time of day, such as 06:30, and not start`},
		"often":                  {"warm:\n  every: 10ms\n", `F:2: warm.every: "10ms" is too short: at least 1s, or 0 for never`},
		"warming nothing":        {"warm:\n  at: start\n", `F:2: warm.at: nothing to ask for: one of warm.file, warm.top, warm.from is needed`},
		"warming no cache":       {"cache: {mode: off}\nwarm:\n  file: a.sql\n  every: 1h\n", `F:4: warm.every: there is no cache to warm: cache.mode is off`},
		"warming never":          {"warm:\n  top: 5\n", `F:2: warm.top: never happens without warm.at or warm.every`},
		"warming twice":          {"warm:\n  top: 5\n  file: a.sql\n  at: start\n", `F:2: warm.top: goes not with warm.file`},
		"warming by two":         {"warm:\n  from: http://a:1\n  file: a.sql\n  at: start\n", `F:2: warm.from: goes not with warm.file`},
		"top without values":     {"warm:\n  top: 5\n  hot_keys: 0\n  at: start\n", `F:2: warm.top: has no parameters without warm.hot_keys or warm.from`},
		"warm from nowhere":      {"warm:\n  from: a:9632\n  at: start\n", `F:2: warm.from: "a:9632" is not the URL of an admin server, such as http://10.0.0.7:9632`},
		"warm from account":      {"warm:\n  from: http://u:secret@a:9632\n  at: start\n", `F:2: warm.from: no account goes with it, but admin.token`},
		"warm as nobody":         {"warm:\n  target: 'host=h port=x'\n", `F:2: warm.target: not a DSN: invalid port`},
		"too many hot keys":      {"warm:\n  hot_keys: 100001\n", `F:2: warm.hot_keys: "100001" is not a number from 0 to 100000`},
		"bad address":            {"listen: localhost\n", `F:1: listen: "localhost" is not an address: want host:port or unix:/dir`},
		"bad port":               {"listen: localhost:99999\n", `F:1: listen: "localhost:99999": "99999" is not a port from 0 to 65535`},
		"relative socket":        {"listen: unix:tmp\n", `F:1: listen: "unix:tmp": the directory of a Unix socket must be absolute, such as unix:/var/run/pgrecall`},
		"address twice":          {"listen: [':1', ':1']\n", `F:1: listen: ":1" is given twice`},
		"no address":             {"listen: []\n", `F:1: listen: no address given`},
		"address of a mapping":   {"listen:\n  - :1\n  - a: b\n", `F:3: listen[1]: want one value, got keys with values`},
		"admin on a socket":      {"admin:\n  listen: unix:/tmp\n", `F:2: admin.listen: "unix:/tmp" is not an address: want host:port`},
		"admin is listen":        {"listen: ':1'\nadmin:\n  listen: ':1'\n", `F:3: admin.listen: ":1" is in listen, too`},
		"admin's host name":      {"admin:\n  hosts: ['a:1']\n", `F:2: admin.hosts: "a:1" is not a host name`},
		"cert without key":       {"tls:\n  cert: x\n", `F:2: tls.cert: needs tls.key, too`},
		"sentinels, no master":   {"cache:\n  redis: redis+sentinel://a:1,b:2\n", `F:2: cache.redis: not a Redis URL: Sentinels, but no master: add ?master=NAME, the name in their sentinel.conf`},
		"cluster and master":     {"cache:\n  redis: redis://a?cluster=1&master=m\n", `F:2: cache.redis: cluster and master exclude each other: Sentinels do not watch a Cluster`},
		"database of a cluster":  {"cache:\n  redis: redis://a,b/2\n", `F:2: cache.redis: database 2: a Cluster has database 0 only (several addresses mean a Cluster, unless master= names a master that Sentinels watch)`},
		"bad memcached":          {"cache:\n  memcached: http://h\n", `F:2: cache.memcached: want memcached://host:port`},
		"memcached's port":       {"cache:\n  memcached: memcached://a,h:x\n", `F:2: cache.memcached: "x" is no port (in "h:x")`},
		"fleet without a cache":  {"cache:\n  redis: redis://h\n  mode: off\n", `F:3: cache.mode: off excludes cache.redis: the other pgrecalls would not be told of this one's writes; with shadow they are, and all reads go upstream, too`},
		"bad tenant":             {"cache:\n  l2:\n    tenant: app.tenant\n", `F:3: cache.l2.tenant: "app.tenant" is not one of none, user, setting:NAME`},
		"tenant without a dot":   {"cache:\n  l2:\n    tenant: setting:role\n", `F:3: cache.l2.tenant: "role" is not the name of a custom setting, such as app.tenant`},
		"tenant of our own":      {"cache:\n  l2:\n    tenant: setting:pgrecall.cache\n", `F:3: cache.l2.tenant: "pgrecall.cache" is a setting of pgrecall's own`},
		"redis without TLS":      {"cache:\n  redis: redis://h?ca=/ca\n", `F:2: cache.redis: certificates are given, but TLS is off: want rediss:// instead of redis://`},
		"no authority":           {"cache:\n  redis: rediss://:secret@h?ca=/none\n", `F:2: cache.redis: read the authority's certificate (ca=): open /none: no such file or directory`},
		"redis' timeout":         {"cache:\n  redis: redis://h?dial_timeout=5\n", `F:2: cache.redis: not a Redis URL: dial_timeout="5": want a duration, as 500ms`},
		"result above L1":        {"cache:\n  l1_size: 1MiB\n  max_result: 2MiB\n", `F:3: cache.max_result: 2MiB is more than a 32nd of cache.l1_size, 32KiB`},
		"rule's result above L1": {"rules:\n  - ttl: 5s\n    max_result: 9MiB\n", `F:3: rules[0].max_result: 9MiB is more than a 32nd of cache.l1_size, 8MiB`},
		"bad DSN":                {"upstream: 'host=h port=x'\n", `F:1: upstream: not a DSN: invalid port`},

		"rules no list":       {"rules: {ttl: 5s}\n", `F:1: rules: want a list, got keys with values`},
		"rule no mapping":     {"rules:\n  - prices\n", `F:2: rules[0]: want keys with values, got one value`},
		"empty rule":          {"rules:\n  - {}\n", `F:2: rules[0]: an empty rule: it needs match and one of ttl, cache, max_result, consistency, stale_while_revalidate, stale_if_error`},
		"rule without effect": {"rules:\n  - name: a\n    match: {tables: [b]}\n", `F:2: rules[0]: the rule says nothing: it needs one of ttl, cache, max_result, consistency, stale_while_revalidate, stale_if_error`},
		"rule's unknown key":  {"rules:\n  - tll: 5s\n    cache: never\n", `F:2: rules[0].tll: unknown key, did you mean "ttl"?`},
		"match's unknown key": {"rules:\n  - ttl: 5s\n    match:\n      table: x\n", `F:4: rules[0].match.table: unknown key, did you mean "tables"?`},
		"rule's ttl":          {"rules:\n  - ttl: 5s\n  - ttl: 5\n", `F:3: rules[1].ttl: "5" has no unit: write 5s, or ms, m, h`},
		"rule's ttl of zero":  {"rules:\n  - ttl: 0s\n", `F:2: rules[0].ttl: "0s" is too short: at least 1ms; "cache: never" turns the cache off`},
		"rule's window":       {"rules:\n  - stale_while_revalidate: 5\n", `F:2: rules[0].stale_while_revalidate: "5" has no unit: write 5s, or ms, m, h`},
		"rule's long window":  {"rules:\n  - ttl: 5s\n    stale_if_error: 25h\n", `F:3: rules[0].stale_if_error: "25h" is too long: at most 24h`},
		"never, but stale":    {"rules:\n  - cache: never\n    stale_if_error: 1h\n", `F:3: rules[0].stale_if_error: has no meaning with cache: never: "1h0m0s"`},
		"rule's cache":        {"rules:\n  - cache: no\n", `F:2: rules[0].cache: "no" is not one of never, auto`},
		"rule's size":         {"rules:\n  - max_result: 0\n", `F:2: rules[0].max_result: "0" is too small: at least 1`},
		"rule's consistency":  {"rules:\n  - consistency: none\n", `F:2: rules[0].consistency: "none" is not one of strict, session, ttl`},
		"rule's name twice":   {"rules:\n  - {name: a, ttl: 1s}\n  - name: a\n    ttl: 2s\n", `F:3: rules[1].name: is the name of rules[0] already: "a"`},
		"empty tables":        {"rules:\n  - ttl: 5s\n    match:\n      tables: []\n", `F:4: rules[0].match.tables: an empty list: leave the key out to match every table`},
		"empty table":         {"rules:\n  - ttl: 5s\n    match:\n      tables:\n        - a\n        - ''\n", `F:6: rules[0].match.tables[1]: an empty name`},
		"table is a list":     {"rules:\n  - ttl: 5s\n    match:\n      tables: [[a]]\n", `F:4: rules[0].match.tables[0]: want one value, got a list`},
		"empty user":          {"rules:\n  - ttl: 5s\n    match:\n      user: ''\n", `F:4: rules[0].match.user: empty: leave the key out to match everything`},

		"compiled: pattern":     {"rules:\n  - ttl: 5s\n    match:\n      tables:\n        - a\n        - a.b.c\n", `F:6: rules[0].match.tables[1]: must be table or schema.table: "a.b.c"`},
		"compiled: never ttl":   {"rules:\n  - ttl: 5s\n  - cache: never\n    ttl: 5s\n", `F:4: rules[1].ttl: has no meaning with cache: never: "5s"`},
		"compiled: fingerprint": {"rules:\n  - ttl: 5s\n    match:\n      fingerprint: xyz\n", `F:4: rules[0].match.fingerprint: must be up to 16 hexadecimal digits, not all zero: "xyz"`},

		"functions no list":           {"functions: {name: f}\n", `F:1: functions: want a list, got keys with values`},
		"function no mapping":         {"functions: [f]\n", `F:1: functions[0]: want keys with values, got one value`},
		"empty function":              {"functions:\n  - {}\n", `F:2: functions[0]: an empty declaration: it needs name and what it does`},
		"function's unknown key":      {"functions:\n  - name: f\n    effect: none\n", `F:3: functions[0].effect: unknown key, did you mean "effects"?`},
		"function's effects":          {"functions:\n  - name: f\n    effects: few\n", `F:3: functions[0].effects: must be none: "few"`},
		"function without a name":     {"functions:\n  - effects: none\n", `F:2: functions[0].name: must not be empty`},
		"function with types":         {"functions:\n  - {name: f(int), effects: none}\n", `F:2: functions[0].name: takes no argument types: it means all functions of that name: "f(int)"`},
		"function in too many dots":   {"functions:\n  - {name: a.b.c, effects: none}\n", `F:2: functions[0].name: must be function or schema.function: "a.b.c"`},
		"function that does nothing":  {"functions:\n  - name: f\n", `F:2: functions[0]: says nothing: it needs effects, reads or writes`},
		"function in two minds":       {"functions:\n  - name: f\n    effects: none\n    writes: [t]\n", `F:4: functions[0].writes: contradicts effects: none`},
		"function cached and writing": {"functions:\n  - name: f\n    writes: [t]\n    cache: true\n", `F:4: functions[0].cache: has no meaning for a function that writes`},
		"function cached for nothing": {"functions:\n  - name: f\n    cache: true\n", `F:3: functions[0].cache: needs reads, or effects: none for a function that reads no relation`},
		"function's cache":            {"functions:\n  - {name: f, reads: [t], cache: always}\n", `F:2: functions[0].cache: "always" is not one of true, false`},
		"function's empty list":       {"functions:\n  - {name: f, reads: []}\n", `F:2: functions[0].reads: an empty list: leave the key out, or write effects: none`},
		"function's relation":         {"functions:\n  - name: f\n    writes:\n      - t\n      - a.b.c\n", `F:5: functions[0].writes[1]: must be table or schema.table: "a.b.c"`},
		"trigger's unknown key":       {"triggers:\n  - name: f\n    reads: [t]\n", `F:3: triggers[0].reads: unknown key`},
		"trigger without a name":      {"triggers:\n  - {table: t, effects: none}\n", `F:2: triggers[0].name: must be the name of a trigger, * for any`},
		"trigger's table":             {"triggers:\n  - {name: g, table: a.b.c, effects: none}\n", `F:2: triggers[0].table: must be table or schema.table: "a.b.c"`},
		"trigger that does nothing":   {"triggers:\n  - {name: g, table: t}\n", `F:2: triggers[0]: says nothing: it needs effects or writes`},

		"all of them at once": {"cache:\n  mode: x\nlog:\n  level: y\nother: 1\n", `F:2: cache.mode: "x" is not one of on, off, shadow
F:4: log.level: "y" is not one of debug, info, warn, error
F:5: other: unknown key`},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, test.text)
			_, err := LoadFile(file)
			if err == nil {
				t.Fatalf("no error; want\n%s", test.want)
			}
			if got := strings.ReplaceAll(err.Error(), file, "F"); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestSaysNothing(t *testing.T) {
	for _, text := range []string{"", "# only a comment\n", "---\n", "cache:\n", "cache:\n  mode:\n", "rules:\n", "rules: []\n", "tls: {}\n"} {
		c, err := LoadFile(write(t, text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if a, r := Changed(Defaults(), c); len(a)+len(r) > 0 {
			t.Errorf("%q changes %v %v", text, a, r)
		}
	}
}
