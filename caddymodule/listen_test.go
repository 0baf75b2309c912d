// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
)

// greet answers what a listener accepts by its name, and reports how that ended.
func greet(ln net.Listener, name byte) <-chan error {
	ended := make(chan error, 1)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				ended <- err
				return
			}
			_, _ = conn.Write([]byte{name})
			_ = conn.Close()
		}
	}()
	return ended
}

// TestAListenerIsHandedOnInAnyOrder: whichever configuration opens it next and whichever
// goes, one that is refused or the one before, who connects is answered by one that has it
// open; when all have closed it, nobody is, and it can be opened anew.
func TestAListenerIsHandedOnInAnyOrder(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "lmtp.sock")
	for address, dial := range map[string][2]string{"unix/" + socket: {"unix", socket}, "127.0.0.1:0": {"tcp", ""}} {
		type opened struct {
			net.Listener
			ended <-chan error
		}
		rnd, open, next := rand.New(rand.NewPCG(1, 2)), map[byte]opened{}, byte(0)
		for range 200 {
			if next++; len(open) == 0 || rnd.IntN(2) == 0 && len(open) < 4 {
				ln, err := caddymodule.ListenAt(address)
				if err != nil {
					t.Fatalf("%s: %v, beside %d others", address, err, len(open))
				}
				open[next] = opened{ln, greet(ln, next)}
			} else {
				for name, o := range open { // any of them
					err := o.Close()
					if ended := <-o.ended; err != nil || !errors.Is(ended, net.ErrClosed) || o.Close() != nil {
						t.Errorf("%s: closed with %v, ended with %v", address, err, ended)
					}
					delete(open, name)
					break
				}
			}
			for _, o := range open {
				dial[1] = o.Addr().String()
			}
			if len(open) == 0 && dial[0] == "tcp" {
				continue // a port that is free is anybody's
			}
			conn, err := net.Dial(dial[0], dial[1])
			if (err == nil) != (len(open) > 0) {
				t.Fatalf("%s: %v, with %d open", address, err, len(open))
			}
			if err != nil {
				continue
			}
			said, err := io.ReadAll(conn)
			if _, there := open[append(said, 0)[0]]; err != nil || !there {
				t.Errorf("%s: answered by %v, %v, which has not got it open", address, said, err)
			}
			_ = conn.Close()
		}
		for _, o := range open {
			_ = o.Close()
		}
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}
