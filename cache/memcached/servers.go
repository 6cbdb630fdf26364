package memcached

import (
	"errors"
	"hash/crc32"
	"net"
	"strings"
)

// servers spreads keys over addresses. They are looked up at each connect: a server may come later than pgrecall, or move.
type servers []address

// address is a net.Addr that is looked up when it is dialled.
type address string

// Network implements net.Addr.
func (a address) Network() string {
	if strings.Contains(string(a), "/") {
		return "unix"
	}
	return "tcp"
}

// String implements net.Addr.
func (a address) String() string { return string(a) }

func newServers(addresses []string) (servers, error) {
	if len(addresses) == 0 {
		return nil, errors.New("memcached: no address: want memcached://host:port")
	}
	list := make(servers, len(addresses))
	for i, a := range addresses {
		list[i] = address(a)
	}
	return list, nil
}

// PickServer implements memcache.ServerSelector.
func (s servers) PickServer(key string) (net.Addr, error) {
	return s[crc32.ChecksumIEEE([]byte(key))%uint32(len(s))], nil
}

// Each implements memcache.ServerSelector.
func (s servers) Each(f func(net.Addr) error) error {
	for _, a := range s {
		if err := f(a); err != nil {
			return err
		}
	}
	return nil
}
