package config

import (
	"regexp"
	"slices"
	"strings"
)

// Shown is a setting as everybody may see it.
type Shown struct {
	Path, Value, Default string
	Reload               bool // SIGHUP can apply a new value
	Pending              bool // the file says something else than what is in force, which needs a restart
}

// Masked is what is shown of a secret.
const Masked = "********"

// account finds the account in a URL, which has no place in any setting that is not secret.
var account = regexp.MustCompile(`://[^/@\s]*@`)

// Show returns all settings in force of a process that was started with one configuration and has read another one since, which may be the
// same. Of secrets it tells only whether they are there.
func Show(started, read *Config) []Shown {
	var list []Shown
	defaults := Defaults()
	show := func(s *setting, c *Config) string {
		value := strings.Join(s.get(c), ", ")
		if s.secret && value != "" {
			return Masked
		}
		return account.ReplaceAllString(value, "://"+Masked+"@")
	}
	for _, s := range settings() {
		in := started
		if s.reload {
			in = read
		}
		list = append(list, Shown{Path: s.path, Value: show(&s, in), Default: show(&s, defaults), Reload: s.reload,
			Pending: !s.reload && !slices.Equal(s.get(started), s.get(read))})
	}
	for _, section := range []struct{ path, text string }{{"rules", read.rulesText}, {"functions", read.functionsText}, {"triggers", read.triggersText}} {
		list = append(list, Shown{Path: section.path, Value: section.text, Reload: true})
	}
	return list
}
