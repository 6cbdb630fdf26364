package proxy

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"github.com/pgrecall/pgrecall/invalidator"
)

// private tells the results in L2 that this process itself put there and that still hold, where there is no fleet and so no log. The position
// of such a result is a digest of the stamp that it was made with: it is fresh exactly while that stamp is valid and nothing was flushed, as if it
// had stayed in L1. The digest is keyed with random bytes: what another process left, or this program before its restart, is never fresh.
type private struct{ key [32]byte }

func newPrivate() *private {
	p := &private{}
	_, _ = rand.Read(p.key[:]) // never fails
	return p
}

// position returns what stands in an entry for a stamp and the number of flushes before it.
func (p *private) position(stamp invalidator.Stamp, flushes uint64) invalidator.Position {
	b := make([]byte, 0, len(p.key)+8+12*len(stamp))
	b = append(b, p.key[:]...)
	b = binary.BigEndian.AppendUint64(b, flushes)
	for _, m := range stamp {
		b = binary.BigEndian.AppendUint32(b, uint32(m.Slot))
		b = binary.BigEndian.AppendUint64(b, m.Word)
	}
	digest := sha256.Sum256(b)
	return invalidator.Position{
		Epoch: binary.BigEndian.Uint64(digest[:]) | 1, // never the zero position, which is none
		Seq:   binary.BigEndian.Uint64(digest[8:]), Nonce: binary.BigEndian.Uint64(digest[16:]),
	}
}
