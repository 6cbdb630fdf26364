package redis

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseURL reads where Redis is:
//
//	redis://[user:password@]host[:port][,host[:port]...][/database][?parameter=value&...]
//
// rediss:// is the same over TLS. Several hosts are nodes of a Cluster; ?cluster=1 says so for one. With
// ?master=NAME, or with redis+sentinel://..., the hosts are Sentinels. Several whole URLs, separated by
// commas, mean the same as several hosts; what they say of user, password and database must agree. A comma in a
// password is written %2C. The parameters' names are in the errors that unknown ones cause; durations are Go's, as 500ms.
// An error never shows the password.
func ParseURL(text string) (Options, error) {
	o, err := parseURL(text)
	if err != nil {
		return Options{}, fmt.Errorf("redis: not a Redis URL: %w", err)
	}
	if err := o.validate(); err != nil {
		return Options{}, fmt.Errorf("redis: %w", err)
	}
	return o, nil
}

func parseURL(text string) (o Options, err error) {
	parts := strings.Split(text, ",")
	scheme, _, ok := strings.Cut(strings.TrimSpace(parts[0]), "://")
	if !ok {
		return o, errors.New("want redis://host:port or rediss://host:port")
	}
	kind, layer, _ := strings.Cut(scheme, "+")
	sentinel := layer == "sentinel"
	switch {
	case kind != "redis" && kind != "rediss", layer != "" && layer != "sentinel" && layer != "cluster":
		return o, fmt.Errorf("scheme %q: want redis, rediss (TLS), redis+sentinel, rediss+sentinel, redis+cluster or rediss+cluster", scheme)
	case kind == "rediss":
		o.TLS = true
	}
	o.Cluster = layer == "cluster"
	var hosts []*url.URL
	parameters := url.Values{}
	for _, part := range parts {
		part = strings.TrimSpace(part)
		if !strings.Contains(part, "://") {
			part = scheme + "://" + part
		}
		u, err := url.Parse(part)
		if err != nil {
			// The error of package url shows parts of the text, and so perhaps of a password.
			return o, errors.New("it cannot be read: special characters in a user or password are written %XX, a port is a number")
		}
		if u.Scheme != scheme {
			return o, fmt.Errorf("schemes %q and %q: want the same for all", scheme, u.Scheme)
		}
		hosts = append(hosts, u)
		maps.Copy(parameters, u.Query())
	}
	if err := o.takeHosts(hosts, sentinel || parameters.Get("master") != ""); err != nil {
		return o, err
	}
	if err := o.takeParameters(parameters); err != nil {
		return o, err
	}
	if sentinel && o.Master == "" {
		return o, errors.New("Sentinels, but no master: add ?master=NAME, the name in their sentinel.conf") //nolint:staticcheck // a proper name
	}
	return o, nil
}

// takeHosts takes addresses, user, password and database.
func (o *Options) takeHosts(hosts []*url.URL, sentinel bool) error {
	port := "6379"
	if sentinel {
		port = "26379"
	}
	for _, u := range hosts {
		if u.Hostname() == "" {
			return errors.New("a host is missing: want redis://host:port")
		}
		if u.Port() != "" {
			port = u.Port()
		}
		o.Addresses = append(o.Addresses, net.JoinHostPort(u.Hostname(), port))
		if u.User != nil {
			password, _ := u.User.Password()
			if (o.Username != "" || o.Password != "") && (o.Username != u.User.Username() || o.Password != password) {
				return errors.New("two users or passwords: want the same for all hosts, or at the first only")
			}
			o.Username, o.Password = u.User.Username(), password
		}
		path := strings.Trim(u.Path, "/")
		if path == "" {
			continue
		}
		database, err := strconv.Atoi(path)
		if err != nil || o.Database != 0 && o.Database != database {
			return fmt.Errorf("database %q: want one number, as in redis://host:6379/0", path)
		}
		o.Database = database
	}
	return nil
}

// takeParameters takes what follows the question mark.
func (o *Options) takeParameters(parameters url.Values) error {
	texts := map[string]*string{
		"master": &o.Master, "sentinel_user": &o.SentinelUsername, "sentinel_password": &o.SentinelPassword,
		"ca": &o.CAFile, "cert": &o.CertificateFile, "key": &o.KeyFile, "server_name": &o.ServerName, "client_name": &o.ClientName,
	}
	numbers := map[string]*int{"db": &o.Database, "pool_size": &o.PoolSize, "min_idle": &o.MinIdle}
	durations := map[string]*time.Duration{"dial_timeout": &o.DialTimeout, "read_timeout": &o.ReadTimeout, "write_timeout": &o.WriteTimeout}
	for name := range parameters {
		value := parameters.Get(name)
		var err error
		if text, ok := texts[name]; ok {
			*text = value
		} else if number, ok := numbers[name]; ok {
			if *number, err = strconv.Atoi(value); err != nil || *number < 0 {
				return fmt.Errorf("%s=%q: want a number", name, value)
			}
		} else if duration, ok := durations[name]; ok {
			if *duration, err = time.ParseDuration(value); err != nil || *duration <= 0 {
				return fmt.Errorf("%s=%q: want a duration, as 500ms", name, value)
			}
		} else if name == "cluster" {
			if o.Cluster, err = strconv.ParseBool(value); err != nil {
				return fmt.Errorf("cluster=%q: want 1 or 0", value)
			}
		} else {
			known := slices.Sorted(maps.Keys(texts))
			known = slices.AppendSeq(slices.AppendSeq(append(known, "cluster"), maps.Keys(numbers)), maps.Keys(durations))
			slices.Sort(known)
			return fmt.Errorf("unknown parameter %q: want one of %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}
