// SPDX-License-Identifier: Apache-2.0

package freeport

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// childOf makes the test program print ports in place of testing.
const childOf = "PORTS_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childOf) == "" {
		os.Exit(m.Run())
	}
	free, err := Take(300)
	if err != nil {
		panic(err)
	}
	for _, port := range free {
		_, _ = os.Stdout.WriteString(strconv.Itoa(port) + "\n") // the parent counts them
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent has asked all of them
}

// TestProcessesGetOtherPorts: of ten that ask at the same time none gets a port that
// another has, and what is given is below the ports of connections.
func TestProcessesGetOtherPorts(t *testing.T) {
	all, err := Take(300)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		child := exec.CommandContext(context.Background(), os.Args[0]) // it outlives the test by its cleanup
		child.Env = append(os.Environ(), childOf+"=1")
		in, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = in.Close()
			if err := child.Wait(); err != nil {
				t.Error(err)
			}
		})
		text := make([]byte, 0, 300*6)
		for strings.Count(string(text), "\n") < 300 {
			n, err := out.Read(text[len(text):cap(text)])
			if err != nil {
				t.Fatal(err)
			}
			text = text[:len(text)+n]
		}
		for line := range strings.FieldsSeq(string(text)) {
			port, err := strconv.Atoi(line)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, port)
		}
	}
	slices.Sort(all)
	if one := slices.Compact(slices.Clone(all)); len(one) != 11*300 || all[0] < lowest || all[len(all)-1] >= highest {
		t.Errorf("got %d ports from %d to %d, want %d", len(one), all[0], all[len(all)-1], 11*300)
	}
}

// TestPortsComeAgainLate: what was given is given again only after all others, and never
// while somebody listens on it.
func TestPortsComeAgainLate(t *testing.T) {
	first, err := Take(1)
	if err != nil {
		t.Fatal(err)
	}
	l, err := listen(first[0])
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	given := map[int]int{}
	for at := range 2 * blockSize {
		got, err := Take(1)
		if err != nil || got[0] == first[0] {
			t.Fatalf("got %v, %v, want any but %d", got, err, first[0])
		}
		if before, again := given[got[0]]; again && at-before < blockSize/2 {
			t.Errorf("%d is given again after %d others", got[0], at-before-1)
		}
		given[got[0]] = at
	}
	if got, err := Take(blockSize); err == nil {
		t.Errorf("got %d ports, more than there are", len(got))
	}
}
