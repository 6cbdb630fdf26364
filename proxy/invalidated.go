package proxy

import (
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/proxy/traffic"
)

// invalidated counts an invalidation and its cause: of relations of a database by their OIDs, of the whole database, or of all databases.
func (srv *Server) invalidated(source traffic.Source, database string, whole, cluster bool, relations []uint32) {
	srv.metrics.invalidations[source].Inc()
	switch {
	case cluster:
		srv.traffic.Invalidated("", traffic.Everything, source)
	case whole:
		srv.traffic.Invalidated(database, traffic.Everything, source)
	default:
		snapshot := srv.loaded(database)
		for _, oid := range relations {
			name := "" // of one that is not known, or not any more
			if snapshot != nil {
				if r := snapshot.ByOID(oid); r != nil {
					name = r.Schema + "." + r.Name
				}
			}
			srv.traffic.Invalidated(database, name, source)
		}
	}
}

// flushedBy counts a flush by the operator. One by tenant or fingerprint is of no table in particular, and so is not counted with any.
func (srv *Server) flushedBy(what Selection) {
	srv.metrics.invalidations[traffic.Admin].Inc()
	switch {
	case what.Fingerprint != 0 || what.Tenant != "":
	case what.Table == "":
		srv.traffic.Invalidated(what.Database, traffic.Everything, traffic.Admin)
	default:
		for _, snapshot := range srv.Snapshots() {
			if what.Database != "" && what.Database != snapshot.Database {
				continue
			}
			for _, r := range snapshot.Relations() {
				if name := r.Schema + "." + r.Name; what.Table == name || what.Table == r.Name {
					srv.traffic.Invalidated(snapshot.Database, name, traffic.Admin)
				}
			}
		}
	}
}

// loaded returns the catalog of a database, nil where there is none here.
func (srv *Server) loaded(name string) *catalog.Snapshot {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.databases[name].snapshot()
}
