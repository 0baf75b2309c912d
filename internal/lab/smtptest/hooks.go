// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"strings"
	"sync"
	"time"
)

// Hook is a function for [Options.Fail].
type Hook = func(stage, address string) error

// Join asks several hooks, and takes the first error.
func Join(hooks ...Hook) Hook {
	return func(stage, address string) error {
		for _, hook := range hooks {
			if err := hook(stage, address); err != nil {
				return err
			}
		}
		return nil
	}
}

// At fails one stage, every time.
func At(stage string, err error) Hook { return Times(stage, -1, err) }

// Times fails one stage the first n times; without end if n is negative.
func Times(stage string, n int, err error) Hook {
	var mu sync.Mutex
	return func(at, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		if at != stage || n == 0 {
			return nil
		}
		n--
		return err
	}
}

// Greylist refuses each recipient the first time, with 451.
func Greylist() Hook {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(stage, address string) error {
		if stage != "RCPT" {
			return nil
		}
		address = strings.ToLower(address)
		mu.Lock()
		defer mu.Unlock()
		if seen[address] {
			return nil
		}
		seen[address] = true
		return Reply(451, "greylisted, come back later")
	}
}

// Tarpit makes every stage take its time.
func Tarpit(d time.Duration) Hook {
	return func(string, string) error {
		time.Sleep(d)
		return nil
	}
}
