// Command relay passes bytes between clients and a server and understands none of them: two
// goroutines per client, a 32 KiB buffer each, plain Read and Write. It is the yardstick for what
// pgrecall costs where it does not cache.
//
// It must never use splice(2), which no proxy that has to look at messages could use.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
)

const bufferSize = 32 << 10

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address for clients")
	upstream := flag.String("upstream", "", "address of the server")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	log.Fatal(serve(listener, *upstream))
}

// serve accepts until the listener is closed and returns its error.
func serve(listener net.Listener, upstream string) error {
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go relay(client, upstream)
	}
}

// relay connects the client to a server of its own and ends when either side does.
func relay(client net.Conn, upstream string) {
	defer client.Close()
	server, err := net.Dial("tcp", upstream)
	if err != nil {
		log.Print(err)
		return
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pump(client, server)
	}()
	pump(server, client)
	<-done
}

// pump copies until either side ends, and then ends both, so that the other direction stops, too.
func pump(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	// The wrapped types hide ReadFrom and WriteTo, which would splice.
	_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, bufferSize))
}
