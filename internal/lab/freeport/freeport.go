// SPDX-License-Identifier: Apache-2.0

// Package freeport lends the ports that test servers listen on. Caddy shares a port with
// whoever else shares it, so that two programs which were given the same one would
// answer each other's requests, and say nothing.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are lent below the range from which systems take those of outgoing
// connections (Linux from 32768, others from 49152): one that is free now could be
// taken for such a connection before a server listens on it.
const (
	lowest  = 10_000
	highest = 32_000
	// blockSize is how many ports a process has to itself.
	blockSize = 400
)

// block is that of this process. Whoever listens on the first port of a block has the
// others, for as long as the process lives.
var block struct {
	sync.Mutex
	guard net.Listener
	first int
	next  int
}

// Take returns ports of 127.0.0.1 on which nobody listens, and which no other process
// is lent. A process gets one again only after all the others of its block.
func Take(n int) ([]int, error) {
	block.Lock()
	defer block.Unlock()
	if err := claim(); err != nil {
		return nil, err
	}
	free := make([]int, 0, n)
	for range blockSize - 1 {
		if len(free) == n {
			break
		}
		port := block.first + 1 + block.next%(blockSize-1)
		block.next++
		if l, err := listen(port); err == nil {
			_ = l.Close() // it was ours alone
			free = append(free, port)
		}
	}
	if len(free) < n {
		return nil, fmt.Errorf("find free ports: only %d of %d from %d on", len(free), n, block.first)
	}
	return free, nil
}

// claim takes a block that nobody has. They are tried from a random one on.
func claim() error {
	if block.guard != nil {
		return nil
	}
	const blocks = (highest - lowest) / blockSize
	start := rand.IntN(blocks) //nolint:gosec // a port is no secret
	var err error
	for i := range blocks {
		first := lowest + (start+i)%blocks*blockSize
		if block.guard, err = listen(first); err == nil {
			block.first = first
			return nil
		}
	}
	return errors.Join(errors.New("every block of ports is taken"), err)
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
