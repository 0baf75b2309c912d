// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback/lmtp"
)

// errNotStream is returned for a network that has no connections.
var errNotStream = errors.New("is no address to listen on; write unix//run/threepid/lmtp.sock or 127.0.0.1:24")

// listeners are those that are open in this process, by their addresses.
var listeners = caddy.NewUsagePool()

// sharedListener is one, for all configurations that have it open. Caddy could share its
// socket, too, but keeps the newest copy of it to copy the next from: when that was of a
// configuration which was refused, it is closed.
type sharedListener struct {
	net.Listener
	accepted chan accepted
	ended    chan struct{}
}

type accepted struct {
	conn net.Conn
	err  error
}

// accept hands connections to whichever configuration asks first.
func (s *sharedListener) accept() {
	for {
		conn, err := s.Listener.Accept()
		select {
		case s.accepted <- accepted{conn, err}:
		case <-s.ended:
			if err == nil {
				_ = conn.Close()
			}
			return
		}
	}
}

// Destruct is called when the last configuration has closed it.
func (s *sharedListener) Destruct() error {
	close(s.ended)
	return s.Close()
}

// handle is what one configuration has of it.
type handle struct {
	*sharedListener
	closed chan struct{}
	close  func() error
}

// Accept ends when the handle is closed.
func (h *handle) Accept() (net.Conn, error) {
	select {
	case a := <-h.accepted:
		return a.conn, a.err
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close leaves the listener to the other configurations.
func (h *handle) Close() error { return h.close() }

// listenAt opens a listener that stays open across reloads.
func listenAt(address string) (net.Listener, error) {
	value, _, err := listeners.LoadOrNew(address, func() (caddy.Destructor, error) {
		ln, err := open(address)
		if err != nil {
			return nil, err
		}
		s := &sharedListener{ln, make(chan accepted), make(chan struct{})}
		go s.accept()
		return s, nil
	})
	if err != nil {
		return nil, err
	}
	shared, _ := value.(*sharedListener) // nothing else is in the pool
	h := &handle{sharedListener: shared, closed: make(chan struct{})}
	h.close = sync.OnceValue(func() error {
		close(h.closed)
		_, err := listeners.Delete(address)
		return err
	})
	return h, nil
}

func open(address string) (net.Listener, error) {
	addr, err := caddy.ParseNetworkAddress(address)
	if err != nil {
		return nil, err
	}
	opened, err := addr.Listen(context.Background(), 0, net.ListenConfig{})
	if err != nil {
		return nil, err
	}
	ln, ok := opened.(net.Listener)
	if !ok {
		return nil, errNotStream
	}
	return ln, nil
}

// checkLMTP refuses what is not on this machine, as the server does when it
// listens, and what cannot be listened on at all. In a draft, it looks at no file.
func checkLMTP(listen string, draft bool) error {
	addr, err := caddy.ParseNetworkAddress(listen)
	_, _, port, split := caddy.SplitNetworkAddress(listen)
	if err != nil || split != nil {
		return errNotStream
	}
	switch addr.Network {
	case "unix", "unixpacket":
		path, _, _ := strings.Cut(addr.Host, "|") // its mode follows
		return checkSocket(path, draft)
	case "tcp", "tcp4", "tcp6":
	default:
		return errNotStream
	}
	ip, err := netip.ParseAddr(addr.Host)
	switch {
	case port == "", err == nil && !family(addr.Network, ip):
		return errNotStream
	case addr.Host != "localhost" && (err != nil || !ip.IsLoopback()):
		return lmtp.ErrNotLocal
	}
	return nil
}

// family reports whether a network has addresses of that kind.
func family(network string, ip netip.Addr) bool {
	return network == "tcp" || ip.Is4() == (network == "tcp4")
}

// maxSocket is how long the path of a socket may be, in bytes.
const maxSocket = len(syscall.RawSockaddrUnix{}.Path) - 1

// checkSocket refuses a path at which there can be no socket. One that is in use is
// for Start to find.
func checkSocket(path string, draft bool) error {
	if len(path) > maxSocket {
		return fmt.Errorf("is too long for a socket; write a path of at most %d bytes", maxSocket)
	}
	if draft || strings.HasPrefix(path, "@") { // which is no file
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return errors.New("is a directory; write the path of a socket in it")
	}
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, os.ErrNotExist) {
		return errors.New("its directory does not exist; make it, or write another path")
	}
	return nil
}
