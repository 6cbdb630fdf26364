package codec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/pgrecall/pgrecall/cache"
)

// Version is the first byte of every entry. It changes with the format, and readers of another version see a miss.
const Version = 1

// Flags of the header.
const (
	flagSealed     = 1
	flagCompressed = 2
)

// Sizes in bytes.
const (
	nonceSize    = 12
	tagSize      = 16
	checksumSize = 8
	maxHeader    = 3 + binary.MaxVarintLen64
	overhead     = maxHeader + nonceSize + tagSize
)

// Defaults of Options.
const (
	DefaultCompressAbove = 1 << 10
	DefaultMaxEntry      = 16 << 20
)

// Options says how entries are written and which are read. The zero value neither encrypts nor authenticates.
type Options struct {
	// Keys: the first seals, all open. To rotate, put a new one behind the others everywhere, then move it to the front everywhere, then
	// remove the old one when the entries that it sealed have expired. Nothing is flushed. Without keys entries carry only a checksum, and
	// sealed ones are refused; with keys those without a seal are.
	Keys []Secret
	// CompressAbove is the size of a payload in bytes above which it is compressed, if that makes it smaller. Zero means
	// DefaultCompressAbove, a negative one never. Whether entries are read does not depend on it.
	CompressAbove int
	// MaxEntry bounds the bytes of a payload before compression, and with it the memory that Decode takes. Zero means DefaultMaxEntry.
	MaxEntry int
}

// Codec writes and reads entries. All methods may be called from any goroutine.
type Codec struct {
	seal          cipher.AEAD // nil without keys
	sealID        byte
	open          [256]cipher.AEAD
	compressAbove int
	maxEntry      int
	sealed        atomic.Uint64
	scratch       sync.Pool
}

// New returns a Codec. It keeps no reference to the options.
func New(o Options) (*Codec, error) {
	c := &Codec{compressAbove: o.CompressAbove, maxEntry: o.MaxEntry}
	switch {
	case c.compressAbove == 0:
		c.compressAbove = DefaultCompressAbove
	case c.compressAbove < 0:
		c.compressAbove = math.MaxInt
	}
	if c.maxEntry == 0 {
		c.maxEntry = DefaultMaxEntry
	}
	if c.maxEntry < 0 {
		return nil, fmt.Errorf("codec: limit of %d bytes for an entry", o.MaxEntry)
	}
	for i := range o.Keys {
		s := &o.Keys[i]
		if s.Key == [32]byte{} {
			return nil, fmt.Errorf("codec: %v is empty", s)
		}
		if c.open[s.ID] != nil {
			return nil, fmt.Errorf("codec: %v is given twice", s)
		}
		block, err := aes.NewCipher(s.Key[:])
		if err != nil {
			return nil, fmt.Errorf("codec: %v: %w", s, err)
		}
		if c.open[s.ID], err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("codec: %v: %w", s, err)
		}
		if i == 0 {
			c.seal, c.sealID = c.open[s.ID], s.ID
		}
	}
	c.scratch.New = func() any { return new(scratch) }
	return c, nil
}

// Sealed returns how many entries this Codec has sealed with its first key.
//
// Nonces are 96 random bits, so one key may seal at most 2^32 entries, by all proxies that have it taken together and for as long as it is in use (NIST
// SP 800-38D, section 8.3): then the chance that two of them share a nonce, which would let a reader of the store forge entries, is about
// 2^-33. At a thousand fills a second that is 49 days. Rotate before: see Options.Keys.
func (c *Codec) Sealed() uint64 { return c.sealed.Load() }

// Encode appends the entry of the item to dst and returns the extended slice. It keeps no reference to any of them, and allocates only to extend
// dst. Errors: ErrTooLarge, ErrUnstorable; dst is returned unchanged then.
func (c *Codec) Encode(dst []byte, key cache.Key, item *Item) ([]byte, error) {
	if item.TTL < leastTTL {
		return dst, fmt.Errorf("%w: %v", ErrUnstorable, item.TTL)
	}
	if n := len(item.Parameters) + len(item.Row) + len(item.Data); n > c.maxEntry {
		return dst, fmt.Errorf("%w: %d bytes of messages, limit %d", ErrTooLarge, n, c.maxEntry)
	}
	s := c.take()
	defer c.give(s)
	s.plain = appendPayload(s.plain[:0], item)
	payload := s.plain
	if len(payload) > c.maxEntry {
		return dst, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(payload), c.maxEntry)
	}
	header := append(s.header[:0], Version, 0)
	if c.seal != nil {
		header[1] |= flagSealed
		header = append(header, c.sealID)
	}
	if len(payload) > c.compressAbove {
		compressed, err := s.compress(payload)
		if err != nil {
			return dst, err
		}
		longer := binary.AppendUvarint(header, uint64(len(payload)))
		if len(compressed)+len(longer) < len(payload)+len(header) {
			header, payload = longer, compressed
			header[1] |= flagCompressed
		}
	}
	dst = slices.Grow(dst, len(header)+nonceSize+len(payload)+tagSize)
	start := len(dst)
	dst = append(dst, header...)
	if c.seal == nil {
		dst = append(dst, payload...)
		return binary.LittleEndian.AppendUint64(dst, checksum(&key, dst[start:])), nil
	}
	dst = dst[:len(dst)+nonceSize]
	nonce := dst[len(dst)-nonceSize:]
	_, _ = rand.Read(nonce) // never fails: without random numbers the process ends
	c.sealed.Add(1)
	body := len(dst)
	dst = append(dst, payload...)
	return c.seal.Seal(dst[:body], nonce, dst[body:], s.associate(header, &key)), nil
}

// Decode returns the item of an entry that Encode made for the key. It keeps no reference to b. The item owns its messages;
// they share memory, so that who keeps one may keep all. Errors: all of this package but ErrUnstorable, to be told apart with errors.Is or Reason.
func (c *Codec) Decode(key cache.Key, b []byte) (*Item, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: no bytes", ErrMalformed)
	}
	if b[0] != Version {
		return nil, fmt.Errorf("%w: %d, want %d", ErrVersion, b[0], Version)
	}
	if len(b) > c.maxEntry+overhead {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(b), c.maxEntry)
	}
	r := reader{b: b[1:]}
	flags := r.byte()
	if r.failed || flags&^(flagSealed|flagCompressed) != 0 {
		return nil, fmt.Errorf("%w: header", ErrMalformed)
	}
	var opener cipher.AEAD
	switch sealed := flags&flagSealed != 0; {
	case sealed:
		id := r.byte()
		if r.failed {
			return nil, fmt.Errorf("%w: header", ErrMalformed)
		}
		if opener = c.open[id]; opener == nil {
			return nil, fmt.Errorf("%w: id %d", ErrUnknownKey, id)
		}
	case c.seal != nil:
		return nil, ErrNotSealed
	}
	length := uint64(0)
	if flags&flagCompressed != 0 {
		length = r.uvarint()
	}
	header, rest := b[:len(b)-len(r.b)], r.b
	if r.failed {
		return nil, fmt.Errorf("%w: header", ErrMalformed)
	}
	s := c.take()
	defer c.give(s)
	var payload []byte
	owned := false
	if opener != nil {
		if len(rest) < nonceSize+tagSize {
			return nil, fmt.Errorf("%w: %d bytes after the header", ErrMalformed, len(rest))
		}
		// What is large and not compressed is opened into the memory of the item itself.
		into := s.opened[:0]
		if owned = flags&flagCompressed == 0 && len(rest) > packLimit; owned {
			into = make([]byte, 0, len(rest)-nonceSize-tagSize)
		}
		opened, err := opener.Open(into, rest[:nonceSize], rest[nonceSize:], s.associate(header, &key))
		if err != nil {
			return nil, ErrAuthentication // the cause says the same
		}
		if payload = opened; !owned {
			s.opened = opened
		}
	} else {
		n := len(rest) - checksumSize
		if n < 0 {
			return nil, fmt.Errorf("%w: %d bytes after the header", ErrMalformed, len(rest))
		}
		if checksum(&key, b[:len(b)-checksumSize]) != binary.LittleEndian.Uint64(rest[n:]) {
			return nil, ErrChecksum
		}
		payload = rest[:n]
	}
	if flags&flagCompressed != 0 {
		if length > uint64(c.maxEntry) {
			return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, length, c.maxEntry)
		}
		var err error
		owned = length > packLimit
		if payload, err = s.decompress(payload, int(length), owned); err != nil {
			return nil, err
		}
	}
	return s.parse(payload, owned, c.maxEntry)
}

// checksum covers the cache key and all bytes of an entry before the checksum.
func checksum(key *cache.Key, b []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(key[:]) // never fails, nor does the next
	_, _ = d.Write(b)
	return d.Sum64()
}
