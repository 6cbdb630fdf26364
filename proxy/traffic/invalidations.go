package traffic

// Source is what caused an invalidation.
type Source uint8

// Sources.
const (
	InBand      Source = iota // a write through this pgrecall
	Replication               // a write that the server's log told of
	Bus                       // a write through another pgrecall
	DDL                       // definitions, rights or settings changed
	Admin                     // somebody flushed
	Sources     = iota
)

// String returns the label of metrics.
func (s Source) String() string {
	return [Sources]string{InBand: "in_band", Replication: "replication", Bus: "bus", DDL: "ddl", Admin: "admin"}[s]
}

// Everything stands where a table's name does for invalidations of all that a database's tables are cached for; they are not counted with each table.
// Without a database: of all databases.
const Everything = "*"

type invalidation struct {
	table  table
	source Source
}

// Invalidated counts an invalidation of what depends on a table, schema.name, or on Everything. It never waits for who reads the sums.
func (r *Registry) Invalidated(database, name string, source Source) {
	if r == nil {
		return
	}
	r.opening.Lock()
	defer r.opening.Unlock()
	i := invalidation{table{database, name}, source}
	if _, known := r.invalidated[i]; !known && len(r.invalidated) >= mostTables {
		i.table.name = ""
	}
	r.invalidated[i]++
}

// addInvalidations adds what was counted since the last sweep. The caller holds mu.
func (r *Registry) addInvalidations(counts map[invalidation]int64) {
	for i, n := range counts {
		var delta Totals
		delta.Invalidations[i.source] = n
		r.tableOf(i.table).add(delta, 1)
		r.tableSeries.add(i.table, delta)
	}
}

// AllInvalidations are those of all sources.
func (t *Totals) AllInvalidations() (n int64) {
	for _, of := range t.Invalidations {
		n += of
	}
	return n
}
