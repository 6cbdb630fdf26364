// Command floor is the least that a cache in Go can do for a hit: it authenticates everybody
// (trust), understands no SQL and answers every statement with the same one-row result. One
// goroutine per connection, one read and one write per request. What pgrecall costs above it is
// the price of knowing what to answer.
//
// It must never look at a statement's text: it is a yardstick, not a cache.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address for clients")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	log.Fatal(serve(listener))
}

// serve accepts until the listener is closed and returns its error.
func serve(listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			// A client that leaves ends its session; there is nobody to tell.
			_ = newSession(conn).run()
		}()
	}
}
