package codec

import (
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/pgrecall/pgrecall/cache"
)

// scratch is what one call of Encode or Decode needs and the next can use again. The compressor's parts are made when first wanted; they work in
// the goroutine of their caller and have none of their own.
type scratch struct {
	plain, compressed []byte // of Encode
	opened, inflated  []byte // of Decode
	header            [maxHeader]byte
	associated        [maxHeader + len(cache.Key{})]byte
	database          string // the last that was read: most are the same
	encoder           *zstd.Encoder
	decoder           *zstd.Decoder
}

// keep is the size in bytes above which a buffer is not kept for the next call.
const keep = 256 << 10

func (c *Codec) take() *scratch { return c.scratch.Get().(*scratch) } //nolint:errcheck // the pool has nothing else

func (c *Codec) give(s *scratch) {
	for _, b := range []*[]byte{&s.plain, &s.compressed, &s.opened, &s.inflated} {
		if cap(*b) > keep {
			*b = nil
		}
	}
	c.scratch.Put(s)
}

// associate returns the associated data of a sealed entry. They are valid until the next call.
func (s *scratch) associate(header []byte, key *cache.Key) []byte {
	return append(append(s.associated[:0], header...), key[:]...)
}

// window bounds the memory of a compressor: matches are found no farther back.
const window = 256 << 10

// compress returns b compressed. It is valid until the next call.
func (s *scratch) compress(b []byte) ([]byte, error) {
	if s.encoder == nil {
		encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(window))
		if err != nil {
			return nil, fmt.Errorf("codec: %w", err)
		}
		s.encoder = encoder
	}
	s.compressed = s.encoder.EncodeAll(b, s.compressed[:0])
	return s.compressed, nil
}

// spare is room behind what is decompressed that lets the decoder copy in large steps.
const spare = 64

// decompress returns the length bytes that b holds, in memory of their own or else valid until the next call. The decoder writes to the room that
// it is given and takes no more.
func (s *scratch) decompress(b []byte, length int, own bool) ([]byte, error) {
	if s.decoder == nil {
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return nil, fmt.Errorf("codec: %w", err)
		}
		s.decoder = decoder
	}
	var room []byte
	if own {
		room = make([]byte, 0, length+spare)
	} else {
		s.inflated = slices.Grow(s.inflated[:0], length+spare)
		room = s.inflated[: 0 : length+spare]
	}
	out, err := s.decoder.DecodeAll(b, room)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(out) != length {
		return nil, fmt.Errorf("%w: %d bytes, announced were %d", ErrMalformed, len(out), length)
	}
	return out, nil
}
