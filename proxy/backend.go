package proxy

import (
	"errors"
	"fmt"
	"io"

	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/wire"
)

// backend is the state of the backend side. Only its goroutine touches it, until it has ended.
type backend struct {
	buf        []byte
	start, end int // unprocessed bytes of buf
	stream     int // bytes of the message at start that are forwarded unseen
	streamFill *fill
	swallowing bool  // the rest of the streamed message is not for the client
	ready      bool  // the first ReadyForQuery has come
	saidFatal  bool  // the server has told why it closes
	torn       bool  // part of a message has been forwarded
	encodingOK bool  // client_encoding can be read
	stringsOK  bool  // standard_conforming_strings is on
	delivered  int32 // answers to be taken off pending once they are written
	failed     bool  // an error has come since the last ReadyForQuery
	status     byte
	change     *settingChange     // has been made in the transaction that is not over
	heldFence  *invalidator.Fence // of an open transaction block
	ending     ending             // of what is being answered
}

// Sizes of the backend side's buffer: small while the upstream is silent, larger while it talks.
const (
	smallBuffer = 4 << 10
	largeBuffer = 64 << 10
)

// errUpstreamProtocol is a message of the upstream that can't be framed.
var errUpstreamProtocol = errors.New("upstream sent a message with an invalid length")

// backendLoop reads the upstream until it is gone.
func (s *session) backendLoop() error {
	b := &s.backend
	b.buf = make([]byte, smallBuffer)
	for {
		if b.end == len(b.buf) {
			b.makeRoom()
		}
		n, err := s.upstream.Read(b.buf[b.end:])
		b.end += n
		if n > 0 {
			if err := s.backendBytes(); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if b.start == b.end {
			b.start, b.end = 0, 0
			if n < len(b.buf)/4 && len(b.buf) > smallBuffer {
				b.buf = make([]byte, smallBuffer)
			} else if n == len(b.buf) && n < largeBuffer {
				b.buf = make([]byte, largeBuffer)
			}
		}
	}
}

// makeRoom moves what is unprocessed to the front, or grows the buffer.
func (b *backend) makeRoom() {
	if b.start > 0 {
		b.end = copy(b.buf, b.buf[b.start:b.end])
		b.start = 0
		return
	}
	size := largeBuffer
	if len(b.buf) >= largeBuffer {
		size = 2 * len(b.buf)
	}
	buf := make([]byte, size)
	b.end = copy(buf, b.buf[:b.end])
	b.buf = buf
}

// backendBytes handles the messages that have arrived and forwards them with as few writes as possible.
func (s *session) backendBytes() error {
	b := &s.backend
	from := b.start // first byte that is not forwarded
	flush := func(to int) error {
		if to <= from {
			return nil
		}
		chunk := b.buf[from:to]
		from = to
		return s.deliver(chunk)
	}
	for b.start < b.end {
		if b.stream > 0 { // inside of a message that is passed on unseen
			n := min(b.stream, b.end-b.start)
			if b.streamFill != nil {
				b.streamFill.rows(b.buf[b.start : b.start+n])
			}
			b.stream -= n
			b.start += n
			if b.swallowing {
				from = b.start
			}
			b.torn = b.stream > 0
			continue
		}
		b.swallowing, b.streamFill = false, nil
		typ, size, ok := wire.Header(b.buf[b.start:b.end])
		if !ok {
			break
		}
		if size < wire.HeaderSize {
			_ = flush(b.start)
			return errUpstreamProtocol
		}
		whole := b.end-b.start >= size
		if !whole && (size <= largeBuffer || !streamable(typ)) {
			if size > maxUnseen {
				_ = flush(b.start)
				return fmt.Errorf("%w: type %q, %d bytes", errUpstreamProtocol, typ, size)
			}
			break
		}
		var message []byte
		if whole {
			message = b.buf[b.start : b.start+size]
		}
		swallow, replace, err := s.backendMessage(typ, message)
		if err != nil {
			_ = flush(b.start)
			return err
		}
		if !whole {
			if swallow {
				if err := flush(b.start); err != nil {
					return err
				}
			}
			b.stream, b.swallowing = size, swallow
			if typ == wire.DataRow {
				b.streamFill = s.frontFill()
			}
			continue
		}
		if swallow || replace != nil {
			if err := flush(b.start); err != nil {
				return err
			}
			from = b.start + size
			if replace != nil {
				if err := s.deliver(replace); err != nil {
					return err
				}
			}
		}
		b.start += size
	}
	return flush(b.start)
}

// maxUnseen bounds a message that has to be read whole before it is forwarded.
const maxUnseen = 64 << 20

// streamable messages have bodies that pgrecall need not see.
func streamable(typ byte) bool {
	switch typ {
	case wire.DataRow, wire.CopyData, wire.FunctionCallResponse, wire.ErrorResponse, wire.NoticeResponse, wire.NotificationResponse:
		return true
	}
	return false
}

// deliver writes to the client and then publishes which of its messages have been answered.
func (s *session) deliver(chunk []byte) error {
	b := &s.backend
	s.clientMutex.Lock()
	_, err := s.client.Write(chunk)
	if b.status != 0 {
		s.status.Store(uint32(b.status))
	}
	if b.delivered != 0 {
		s.pending.Add(-b.delivered)
		s.answers.Add(uint32(b.delivered))
		b.delivered = 0
	}
	idle := s.pending.Load() <= s.background.Load() && b.status == wire.StatusIdle && s.wait.Load() == nil
	s.clientMutex.Unlock()
	if err == nil && idle && s.closing.Load() {
		s.goodbye()
		return io.EOF
	}
	return err
}
