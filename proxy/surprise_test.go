package proxy_test

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrecall/pgrecall/proxy"
)

// interjector relays connections to a server and puts in what the server never said.
type interjector struct {
	net.Listener
	mu   sync.Mutex
	said map[string]net.Conn // the way to the client by the application_name that it began with
}

// interject starts an interjector in front of the upstream of the options.
func interject(t *testing.T, o *proxy.Options) *interjector {
	t.Helper()
	target := net.JoinHostPort(o.Upstream.Host, strconv.Itoa(int(o.Upstream.Port)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	i := &interjector{Listener: listener, said: map[string]net.Conn{}}
	var work sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); work.Wait() })
	work.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() { i.relay(client, target) })
		}
	})
	o.Upstream = o.Upstream.Copy()
	o.Upstream.Host, o.Upstream.Port = "127.0.0.1", uint16(listener.Addr().(*net.TCPAddr).Port)
	o.Upstream.Fallbacks = nil
	return i
}

func (i *interjector) relay(client net.Conn, target string) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	startup := make([]byte, 64<<10)
	n, err := client.Read(startup)
	if err != nil {
		return
	}
	if _, name, ok := bytes.Cut(startup[:n], []byte("application_name\x00")); ok {
		name, _, _ = bytes.Cut(name, []byte{0})
		i.mu.Lock()
		i.said[string(name)] = client
		i.mu.Unlock()
	}
	if _, err := server.Write(startup[:n]); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// say puts a message in while the server is silent.
func (i *interjector) say(t *testing.T, application string, m pgproto3.BackendMessage) {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	text, err := m.Encode(nil)
	if err == nil {
		_, err = i.said[application].Write(text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSurpriseReachesTheFleet: when the upstream says what nobody expects, pgrecall has lost count of what is written. Before the client hears of it nobody
// serves what may have changed, until the session ends and its backend with it.
func TestSurpriseReachesTheFleet(t *testing.T) {
	var upstream *interjector
	fleet, _ := startFleetWith(t, 2, true, func(o *proxy.Options) {
		if upstream == nil {
			upstream = interject(t, o)
		}
	}, "CREATE TABLE t (n text)", "INSERT INTO t VALUES ('1')")
	const read = "SELECT n FROM t"
	same, other := fleet[0].connect(simple), fleet[1].connect(simple)
	eventually(t, "a hit", func() bool { return fleet[0].counts(same, 2, read) > 0 })
	eventually(t, "a hit of another process", func() bool { return fleet[1].counts(other, 2, read) > 0 })

	surprised := fleet[0].hijack("application_name=surprised")
	surprised.Send(&pgproto3.Query{String: read})
	if err := surprised.Flush(); err != nil {
		t.Fatal(err)
	}
	receive(t, surprised, 0)
	direct := fleet[0].direct()
	mustExec(t, direct, "UPDATE t SET n = '2'") // nobody is told
	upstream.say(t, "surprised", &pgproto3.CommandComplete{CommandTag: []byte("UPDATE 1")})
	if got := receive(t, surprised, 1); got != "C" {
		t.Fatalf("%s arrived", got)
	}
	if got := fleet[0].sum(t, "pgrecall_protocol_surprises_total"); got != 1 {
		t.Fatalf("%v surprises", got)
	}
	for _, n := range []string{"2", "3"} {
		mustExec(t, direct, "UPDATE t SET n = '"+n+"'")
		if got := value(t, same, read); got != n {
			t.Errorf("%s, want %s", got, n)
		}
		if got := value(t, other, read); got != n {
			t.Errorf("another process: %s, want %s", got, n)
		}
	}
	surprised.Send(&pgproto3.Terminate{})
	if err := surprised.Flush(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another process caches again", func() bool { return fleet[1].counts(other, 2, read) > 0 })
}
