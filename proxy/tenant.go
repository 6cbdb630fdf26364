package proxy

import (
	"strings"

	"github.com/cespare/xxhash/v2"
)

// A tenant is a part of the cache that can be found and dropped alone: a level of the names in L2, and a mark on the entries in L1. It isolates
// nothing: keys do, and they hold everything that decides on an answer, whatever the tenant is. Two tenants may share an entry of L1 where their
// statements are the same and don't depend on whose they are.

// What Options.Tenant may be.
const (
	tenantNone    = "none"
	tenantUser    = "user"
	tenantSetting = "setting:" // and the name of a custom setting
)

const (
	// noTenant is the tenant of sessions that never set the setting, or set it to nothing.
	noTenant = "-"
	// longestTenant bounds what of a client's text gets into names, in bytes. Results of longer ones stay out of L2.
	longestTenant = 128
)

// tenancy is Options.Tenant as it is used.
type tenancy struct {
	user    bool
	setting string // in lower case
}

func newTenancy(option string) tenancy {
	setting, _ := strings.CutPrefix(option, tenantSetting)
	if setting == option {
		return tenancy{user: option == tenantUser}
	}
	return tenancy{setting: strings.ToLower(setting)}
}

// tenant returns the session's at this moment, false where it is not known: then nothing of it may be put into L2 or taken from there under any
// name. The user is the current role, the one whose rights decide: after SET ROLE not the one that logged in. The scope must be known.
func (s *session) tenant() (name string, known bool) {
	f, t := &s.frontend, s.srv.tenancy
	switch {
	case t.user:
		name = f.scope.CurrentUser
	case t.setting != "":
		// One that an extension defines is not followed as custom settings are.
		if f.customs == nil || f.customs.of != f.database.watch.current() || !s.custom(t.setting) {
			return "", false
		}
		if value := f.customs.values[f.customs.of.index(t.setting)]; value.set {
			name = value.text
		}
		if name == "" {
			name = noTenant
		}
	}
	return name, len(name) <= longestTenant && (f.scope.utf8 || isASCII(name))
}

// isASCII tells whether a text has the same bytes in every encoding that clients may have.
func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// anyTenant marks entries that may answer more than one tenant.
const anyTenant = 0

// tenantMark returns the mark for entries of a plan: that of the session's tenant, where keys see to it that no other one gets the entry.
func (s *session) tenantMark(p *plan) uint32 {
	if !s.srv.tenancy.user && len(p.decision.Settings) == 0 {
		return anyTenant
	}
	name, known := s.tenant()
	if !known || name == "" {
		return anyTenant
	}
	return markOf(name)
}

// markOf returns a tenant's mark. Tenants that share one are flushed together in L1.
func markOf(tenant string) uint32 { return uint32(xxhash.Sum64String(tenant)) | 1 }
