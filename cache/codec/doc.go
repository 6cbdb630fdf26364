// Package codec writes a result as the bytes that it is in a shared store, and reads it back: an entry of L2.
//
// Who can write to the store must not be able to make a client see anything that PostgreSQL did not answer to its very request. With keys
// configured, an entry that was edited, moved to another key, or written by somebody without a key is an error, and so is one that is not
// sealed at all. Without keys only accidents are noticed. The package does no I/O but reading a file of keys, keeps no goroutine, and never
// judges whether an entry is still right: the Position in it is for the invalidator to judge.
//
// An old entry under its own key is not noticed here: replaying it is harmless, as its Position is old, too.
//
// # Format
//
// All integers of more than one byte are varints (encoding/binary) unless another size is given; those are little endian.
//
//	header     version  1 byte, Version
//	           flags    1 byte: 1 sealed, 2 compressed; all others are 0
//	           key id   1 byte, if sealed
//	           length   of the payload before compression, if compressed
//	nonce      12 random bytes, if sealed
//	payload    as below, compressed (zstd), then encrypted (AES-256-GCM)
//	tag        16 bytes if sealed; else 8 bytes, xxHash64 over cache key, header and payload
//
// The associated data of the encryption are the header and the cache key.
//
//	shape        1 byte, two bits each for Parameters, Row, Data (0 nil, 1 verbatim, 2 packed); 64 fingerprint given; 128 is 0
//	position     epoch 8 bytes, sequence number, nonce 8 bytes
//	TTL          milliseconds
//	created      milliseconds since 1970, signed
//	origin       microseconds
//	database     length, name
//	relations    number, the signed differences of each OID from the one before
//	fingerprint  8 bytes, if given
//	messages     those that are not nil: verbatim as length and bytes, or packed
//
// Packed messages leave out what PostgreSQL's framing repeats: a RowDescription is the number of columns and for each its name with the zero
// byte, table and attribute number as signed differences from the column before, type, form (bit 0: binary, bit 1: a modifier follows, above: the size), and
// the modifier unless it is -1; Data is the number of rows and,
// if there are any, of columns, and for each value 0 for NULL or its length plus 1 with its bytes. What does not come out the same byte for byte is
// kept verbatim, and so is everything above 4 KiB.
package codec
