package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// Key identifies a result: SHA-256 over length-prefixed parts (DESIGN invariant 2). It holds no
// text and no value in the clear.
type Key [32]byte

// domain is the first byte of every preimage, so that preimages of different kinds differ even
// where the rest of their bytes is equal. The values are part of what proxies share through
// Redis: never use one again for another layout.
type domain byte

// Domains with the layout of their preimages. A length is 8 bytes, big endian; a digest is 32 bytes.
const (
	// domainSimple: scope, length, canonical text.
	domainSimple domain = 'S'
	// domainExtended: scope, statement digest, length, tail of Bind.
	domainExtended domain = 'E'
	// domainStatement: length, canonical text, length, parameter types.
	domainStatement domain = 'P'
	// domainDescription: scope, statement digest.
	domainDescription domain = 'D'
)

// shortPreimage is the size of the preimages that are built on the stack: enough for most texts
// of object-relational mappers. Longer ones take one allocation, lost beside the hashing of so much.
const shortPreimage = 1024

// SimpleKey returns the key of a simple query's answer. The scope is the digest of all of the
// session that can change an answer; canonical is the statement's text with its constants.
// Neither is kept.
func SimpleKey(scope *[32]byte, canonical []byte) Key {
	var short [shortPreimage]byte
	return sha256.Sum256(appendSimple(short[:0], scope, canonical))
}

// ExtendedKey returns the key of the answer to one Execute that fetches all rows of a portal. The
// statement is what StatementDigest returned. bindTail are the bytes of the Bind message after the
// statement's name: parameter formats, values and result formats, so that requests which differ in
// any of them never share a key. The name of the portal and of the statement do not belong to it.
func ExtendedKey(scope, statement *[32]byte, bindTail []byte) Key {
	var short [shortPreimage]byte
	return sha256.Sum256(appendExtended(short[:0], scope, statement, bindTail))
}

// StatementDigest returns what ExtendedKey and DescriptionKey need to know of a prepared
// statement: its canonical text and the OIDs of its parameters' types as the Parse message has
// them, 4 bytes each. It is computed once for each Parse.
func StatementDigest(canonical, parameterTypes []byte) [32]byte {
	var short [shortPreimage]byte
	return sha256.Sum256(appendStatement(short[:0], canonical, parameterTypes))
}

// DescriptionKey returns the key of the answer to Describe of a prepared statement:
// ParameterDescription and RowDescription, or NoData.
func DescriptionKey(scope, statement *[32]byte) Key {
	var short [1 + 32 + 32]byte
	return sha256.Sum256(appendDescription(short[:0], scope, statement))
}

func appendSimple(b []byte, scope *[32]byte, canonical []byte) []byte {
	b = room(b, 1+32+8+len(canonical))
	b = append(b, byte(domainSimple))
	b = append(b, scope[:]...)
	return appendPart(b, canonical)
}

func appendExtended(b []byte, scope, statement *[32]byte, bindTail []byte) []byte {
	b = room(b, 1+32+32+8+len(bindTail))
	b = append(b, byte(domainExtended))
	b = append(b, scope[:]...)
	b = append(b, statement[:]...)
	return appendPart(b, bindTail)
}

func appendStatement(b, canonical, parameterTypes []byte) []byte {
	b = room(b, 1+8+len(canonical)+8+len(parameterTypes))
	b = append(b, byte(domainStatement))
	b = appendPart(b, canonical)
	return appendPart(b, parameterTypes)
}

func appendDescription(b []byte, scope, statement *[32]byte) []byte {
	b = append(b, byte(domainDescription))
	b = append(b, scope[:]...)
	return append(b, statement[:]...)
}

// room returns the empty b, or where b is too small for n bytes an empty slice that is not.
func room(b []byte, n int) []byte {
	if n <= cap(b) {
		return b
	}
	return slices.Grow([]byte(nil), n)
}

// appendPart appends a part of variable size after its length: parts that are only put side by
// side would let ("ab", "c") and ("a", "bc") collide.
func appendPart(b, part []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
	return append(b, part...)
}
