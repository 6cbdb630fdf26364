package main

import "encoding/binary"

// canned holds the replies, ready to send.
type canned struct {
	query, parse, bind, describeStatement, describePortal, execute, close, sync []byte
}

const int4OID = 23

func newCanned() canned {
	field := append([]byte("abalance\x00"),
		0, 0, 0, 0, 0, 0, // no table, no column
		0, 0, 0, int4OID,
		0, 4, // length
		0xff, 0xff, 0xff, 0xff, // no type modifier
		0, 0) // text
	rowDescription := message('T', append([]byte{0, 1}, field...))
	dataRow := message('D', []byte{0, 1, 0, 0, 0, 1, '0'})
	complete := message('C', []byte("SELECT 1\x00"))
	ready := message('Z', []byte{'I'})
	parameters := message('t', []byte{0, 1, 0, 0, 0, int4OID})
	execute := join(dataRow, complete)
	return canned{
		query:             join(rowDescription, execute, ready),
		parse:             message('1', nil),
		bind:              message('2', nil),
		describeStatement: join(parameters, rowDescription),
		describePortal:    rowDescription,
		execute:           execute,
		close:             message('3', nil),
		sync:              ready,
	}
}

// greeting is what a server says after a start-up packet that it trusts.
func greeting() []byte {
	out := message('R', []byte{0, 0, 0, 0})
	for _, parameter := range [...]string{
		"server_version\x0015.0\x00", "server_encoding\x00UTF8\x00", "client_encoding\x00UTF8\x00",
		"DateStyle\x00ISO, MDY\x00", "integer_datetimes\x00on\x00", "standard_conforming_strings\x00on\x00",
	} {
		out = append(out, message('S', []byte(parameter))...)
	}
	return join(out, message('K', make([]byte, 8)), message('Z', []byte{'I'}))
}

func message(kind byte, body []byte) []byte {
	out := binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body)))
	return append(out, body...)
}

func join(parts ...[]byte) []byte {
	var out []byte
	for _, part := range parts {
		out = append(out, part...)
	}
	return out
}
