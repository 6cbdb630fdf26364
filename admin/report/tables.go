package report

import (
	"cmp"
	"slices"
)

// Table is what became of the statements that read or write a table. One that names several tables counts for each of them.
type Table struct {
	Database string `json:"database"`
	Name     string `json:"name"` // schema.name; "" for all that are not kept apart
	Figures
	// ReadsPerWrite is 0 where nothing was written; WrittenEvery is the time between two writes in seconds, 0 where there were less than two.
	ReadsPerWrite float64 `json:"reads_per_write"`
	WrittenEvery  float64 `json:"written_every"`
	// Invalidations of what depends on it alone, by source: in_band are writes through this pgrecall, bus those through others of its fleet.
	Invalidations map[string]int64 `json:"invalidations"`
	Verdict       Verdict          `json:"verdict"`
	Advice        string           `json:"advice"`
	Worth
}

// tables returns those that were read. Advice comes with the proposal.
func tables(in *Input, r *Report) []Table {
	list := []Table{}
	for i := range in.Traffic.Tables {
		raw := &in.Traffic.Tables[i]
		f := figures(&raw.Counts)
		if f.Reads+f.Writes == 0 { // invalidations alone: of everything, or before any statement
			continue
		}
		t := Table{Database: raw.Database, Name: raw.Name, Invalidations: raw.Invalidations, Figures: f, Worth: worth(&f, raw.Worth), Verdict: verdict(&f, raw.Worth)}
		if t.Invalidations == nil {
			t.Invalidations = map[string]int64{}
		}
		if t.Reads == 0 {
			t.Verdict = OnlyWritten
		}
		if t.Writes > 0 {
			t.ReadsPerWrite = float64(t.Reads) / float64(t.Writes)
		}
		if t.Writes > 1 {
			t.WrittenEvery = r.Seconds / float64(t.Writes)
		}
		list = append(list, t)
	}
	slices.SortStableFunc(list, func(a, b Table) int {
		return cmp.Or(cmp.Compare(b.SecondsSaved, a.SecondsSaved), cmp.Compare(b.DatabaseSeconds, a.DatabaseSeconds),
			cmp.Compare(a.Database, b.Database), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// written tells whether anybody wrote the table, here or elsewhere, that pgrecall knows of.
func (t *Table) written() bool {
	return t.Writes+t.Invalidations["in_band"]+t.Invalidations["bus"]+t.Invalidations["replication"] > 0
}

// Memory is what results take.
type Memory struct {
	Entries   int    `json:"entries"`
	Bytes     int64  `json:"bytes"`
	Limit     int64  `json:"limit_bytes"` // cache.l1_size
	NoRoom    uint64 `json:"no_room"`     // results that left or never entered because there was no room
	Expected  int64  `json:"expected_bytes"`
	Proposed  int64  `json:"proposed_bytes"`
	SharedToo bool   `json:"shared_too"` // there is an L2
}

func memory(in *Input, _ *Report) (m Memory) {
	for _, t := range in.Status.Tiers {
		if t.Name != "l1" {
			m.SharedToo = true
			continue
		}
		m.Entries, m.Bytes, m.Limit = t.Entries, t.Bytes, t.LimitBytes
		m.NoRoom = t.Evictions["size"] + t.Evictions["refused"]
	}
	return m
}

// Bounds of what is proposed for memory.
const (
	leastMemory = 64 << 20
	spare       = 2 // times what is expected
)

// proposed returns a size for L1, given what the proposed rules add: the next power of two above twice what is expected, and twice the limit at
// least where there was no room.
func (m *Memory) proposed(more int64) int64 {
	m.Expected = m.Bytes + more
	want := max(spare*m.Expected, leastMemory)
	if m.NoRoom > 0 {
		want = max(want, spare*m.Limit)
	}
	size := int64(leastMemory)
	for size < want && size < 1<<40 {
		size *= 2
	}
	return size
}
