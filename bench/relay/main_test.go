package main

import (
	"io"
	"net"
	"testing"
)

func TestRelaysBothWaysAndEnds(t *testing.T) {
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer upstream.Close()
	go func() {
		for {
			conn, err := upstream.Accept()
			if err != nil {
				return
			}
			go func() { // echoes one request, then leaves
				defer conn.Close()
				request := make([]byte, 5)
				if _, err := io.ReadFull(conn, request); err == nil {
					conn.Write(request)
				}
			}()
		}
	}()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go serve(listener, upstream.Addr().String())

	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client) // ends when the relay passes the server's end on
	if err != nil || string(answer) != "hello" {
		t.Fatalf("got %q, %v", answer, err)
	}
}
