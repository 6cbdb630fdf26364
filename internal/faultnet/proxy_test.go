package faultnet

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// echo starts a server that sends back what it gets.
func echo(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask sends a text and returns what comes back until as much has come, the bound is over, or the connection ends.
func ask(t *testing.T, conn net.Conn, text string, bound time.Duration) (string, error) {
	t.Helper()
	conn.SetDeadline(time.Now().Add(bound))
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	answer := make([]byte, len(text))
	n, err := io.ReadFull(conn, answer)
	return string(answer[:n]), err
}

func TestProxyFaults(t *testing.T) {
	const soon, never = 10 * time.Second, 100 * time.Millisecond
	p := Start(t, echo(t))
	conn := dial(t, p)
	works := func(conn net.Conn) {
		t.Helper()
		if answer, err := ask(t, conn, "hello", soon); answer != "hello" {
			t.Fatalf("%q, %v", answer, err)
		}
	}
	works(conn)

	p.Latency(30 * time.Millisecond)
	start := time.Now()
	works(conn)
	if took := time.Since(start); took < 60*time.Millisecond {
		t.Errorf("there and back in %v", took)
	}
	p.Pieces(1)
	start = time.Now()
	works(conn)
	if took := time.Since(start); took < 150*time.Millisecond {
		t.Errorf("byte by byte in %v", took)
	}
	p.Heal()

	p.Stall()
	if answer, err := ask(t, conn, "late", never); !errors.Is(err, os.ErrDeadlineExceeded) || answer != "" {
		t.Errorf("stalled: %q, %v", answer, err)
	}
	p.Heal()
	conn.SetDeadline(time.Now().Add(soon))
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
		t.Errorf("what was sent before is lost: %v", err)
	}
	works(conn)

	p.CutAfter(3)
	if answer, err := ask(t, conn, "hello", soon); answer != "hel" || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		if answer != "" || !errors.Is(err, syscall.ECONNRESET) { // a reset may drop what came before it
			t.Errorf("cut: %q, %v", answer, err)
		}
	}
	p.Heal()

	conn = dial(t, p)
	works(conn)
	p.Reset()
	if _, err := ask(t, conn, "hello", soon); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reset: %v", err)
	}
	works(dial(t, p))

	p.Refuse()
	if conn, err := net.Dial("tcp", p.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("refused: %v, %v", conn, err)
	}
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	works(dial(t, p))
	if n := p.Accepted(); n != 4 {
		t.Errorf("%d connections, want 4", n)
	}
}
