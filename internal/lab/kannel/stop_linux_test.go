// SPDX-License-Identifier: Apache-2.0

package kannel

import (
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
)

func TestStopLeavesNothingBehind(t *testing.T) {
	s, err := Start(t.Context(), install(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(s.processes); got != 3 {
		t.Errorf("got %d processes, want 3", got)
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range s.processes {
		if err := syscall.Kill(-p.ID(), 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("got %v, want no process of the group", err)
		}
	}
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("got %v, want no directory", err)
	}
	for _, port := range []int{s.ports.admin, s.ports.box, s.ports.smsc, s.ports.sendsms} {
		if _, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v, want nobody at port %d", err, port)
		}
	}
}
