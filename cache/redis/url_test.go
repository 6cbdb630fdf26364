package redis

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseURL(t *testing.T) {
	for url, want := range map[string]Options{
		"redis://h":               {Addresses: []string{"h:6379"}},
		"redis://h:1/3":           {Addresses: []string{"h:1"}, Database: 3},
		"redis://h?db=3":          {Addresses: []string{"h:6379"}, Database: 3},
		"redis://[::1]:7":         {Addresses: []string{"[::1]:7"}},
		"redis://:p%2C%40@h":      {Addresses: []string{"h:6379"}, Password: "p,@"},
		"rediss://u:p@h?ca=/ca":   {Addresses: []string{"h:6379"}, Username: "u", Password: "p", TLS: true, CAFile: "/ca"},
		"redis://a:1,b:2, c:3":    {Addresses: []string{"a:1", "b:2", "c:3"}},
		"redis://a:1,redis://b:2": {Addresses: []string{"a:1", "b:2"}},
		"redis://p@a:1,p@b:2":     {Addresses: []string{"a:1", "b:2"}, Username: "p"},
		"redis://a?cluster=1":     {Addresses: []string{"a:6379"}, Cluster: true},
		"redis+cluster://a":       {Addresses: []string{"a:6379"}, Cluster: true},
		"redis://a,b/2?master=m":  {Addresses: []string{"a:26379", "b:26379"}, Database: 2, Master: "m"},
		"redis+sentinel://a:1,b:2?master=m&sentinel_user=s&sentinel_password=t": {
			Addresses: []string{"a:1", "b:2"}, Master: "m", SentinelUsername: "s", SentinelPassword: "t"},
		"rediss+sentinel://a:1?master=m&cert=c&key=k&server_name=n": {
			Addresses: []string{"a:1"}, Master: "m", TLS: true, CertificateFile: "c", KeyFile: "k", ServerName: "n"},
		"redis://h?pool_size=5&min_idle=2&dial_timeout=1s&read_timeout=20ms&write_timeout=30ms&client_name=x": {
			Addresses: []string{"h:6379"}, PoolSize: 5, MinIdle: 2, ClientName: "x",
			DialTimeout: time.Second, ReadTimeout: 20 * time.Millisecond, WriteTimeout: 30 * time.Millisecond},
	} {
		got, err := ParseURL(url)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n %+v, %v\nwant\n %+v", url, got, err, want)
		}
		if cluster := strings.Contains(url, "cluster") || len(want.Addresses) > 1 && want.Master == ""; got.cluster() != cluster {
			t.Errorf("%s: a Cluster: %v", url, got.cluster())
		}
	}
}

// What is refused, and what the error says to do.
func TestParseURLRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"":                               "want redis://host:port",
		"h:6379":                         "want redis://host:port",
		"http://h":                       `scheme "http": want redis, rediss (TLS)`,
		"redis+x://h":                    `scheme "redis+x": want redis`,
		"redis://":                       "a host is missing",
		"redis://:secret@":               "a host is missing",
		"redis://h,,":                    "a host is missing",
		"redis://:sec%zzret@h":           "special characters in a user or password are written %XX",
		"redis://:sec/ret@h":             "special characters in a user or password are written %XX",
		"redis://a,rediss://b":           "want the same for all",
		"redis://:secret@a,redis://:x@b": "two users or passwords",
		"redis://h/x":                    `database "x": want one number`,
		"redis://a/1,b/2":                `database "2": want one number`,
		"redis://a,b/2":                  "a Cluster has database 0 only",
		"redis+sentinel://a":             "add ?master=NAME",
		"redis://a?cluster=1&master=m":   "exclude each other",
		"redis://h?ca=/ca":               "want rediss://",
		"rediss://h?cert=/c":             "want both cert= and key=",
		"redis://h?pool_size=many":       `pool_size="many": want a number`,
		"redis://h?dial_timeout=5":       `dial_timeout="5": want a duration, as 500ms`,
		"redis://h?cluster=maybe":        "want 1 or 0",
		"redis://h?db=-1":                "want a number",
		"redis://h?colour=red":           `unknown parameter "colour": want one of ca, cert, client_name, cluster, db, dial_timeout`,
	} {
		_, err := ParseURL(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n %v\nwant\n %s", url, err, want)
		} else if strings.Contains(err.Error(), "sec") {
			t.Errorf("%s: the error shows the password: %v", url, err)
		}
	}
}
