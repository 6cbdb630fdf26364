package invalidator

// Position is a place in the log of invalidations that the proxies of one fleet share: after the event number Seq and before the next. The zero
// value is no place of any log.
type Position struct {
	// Epoch is random and made anew whenever the log begins again: positions of different epochs can't be compared.
	Epoch uint64
	// Seq is the number of the last event before the position, counted from 1 without gaps; 0 is the log's beginning.
	Seq uint64
	// Nonce is random and given by the writer of event Seq: two events with one number, after a failover that lost the log's end, differ in it.
	Nonce uint64
}
