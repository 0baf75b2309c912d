// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// codesOf are the codes of a report.
func codesOf(r Report) []string {
	codes := make([]string, len(r.Findings))
	for i, f := range r.Findings {
		codes[i] = f.Code
	}
	return codes
}

// TestNothingToCheck: what is not given is left out, and not complained about.
func TestNothingToCheck(t *testing.T) {
	for name, o := range map[string]Options{
		"nothing":                 {},
		"a resolver, no domain":   {Resolver: resolver{t, nil}},
		"a domain, no resolver":   {Domains: []Domain{{From: "example.org"}}},
		"a domain without a name": {Domains: []Domain{{}}, Resolver: resolver{t, nil}},
		"a proof, no URL":         {Prove: prove, FaceCalls: func() uint64 { return 0 }},
		"a store without a way":   {Store: &Store{Name: "redis"}},
	} {
		if r := Run(t.Context(), o); len(r.Findings) != 0 || r.ExitCode() != 0 {
			t.Errorf("%s: got %+v", name, r.Findings)
		}
	}
}

// TestEachCheckNeedsItsInput: part of the input makes part of the checks.
func TestEachCheckNeedsItsInput(t *testing.T) {
	all := newRig(t).options()
	tests := []struct {
		name string
		take func(*Options)
		gone []string
	}{
		{"no proof", func(o *Options) { o.Prove = nil }, []string{checkPublicURL}},
		{"no counter", func(o *Options) { o.FaceCalls = nil }, []string{checkTrust}},
		{"no identity name", func(o *Options) { o.IdentityName = "" }, []string{checkTrust, checkIdentity}},
		{"no public URL", func(o *Options) { o.PublicURL = "" }, []string{checkPublicURL, checkVersions, checkTrust}},
		{"nobody to compare with", func(o *Options) { o.PublicURL, o.IdentityName = "", "" }, []string{
			checkPublicURL, checkVersions, checkTrust, checkIdentity, checkClock,
		}},
		{"no store", func(o *Options) { o.Store = nil }, []string{checkStore, checkDisk}},
		{"a store elsewhere", func(o *Options) { s := *o.Store; s.Free = nil; o.Store = &s }, []string{checkDisk}},
		{"no key file", func(o *Options) { o.KeyFile = nil }, []string{checkKeyFile}},
		{"no wiring", func(o *Options) { o.Wiring = nil }, []string{checkWiring}},
		{"no list", func(o *Options) { o.DomainList = nil }, []string{checkList}},
		{"no admin endpoint", func(o *Options) { o.Admin = nil }, []string{checkAdmin}},
		{"no resolver", func(o *Options) { o.Resolver = nil }, []string{checkMX, checkSPF, checkDKIM, checkDMARC}},
	}
	for _, tt := range tests {
		o := all
		tt.take(&o)
		var got []string
		for _, f := range Run(t.Context(), o).Findings {
			got = append(got, f.Check)
			if f.Severity != OK {
				t.Errorf("%s: got %+v", tt.name, f)
			}
		}
		want := slices.DeleteFunc(slices.Clone(checkOrder), func(c string) bool { return slices.Contains(tt.gone, c) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, want)
		}
	}
}

// deaf is a check that does not hear its context.
func deaf(release <-chan struct{}) func(context.Context) []RelayStep {
	return func(context.Context) []RelayStep {
		<-release
		return []RelayStep{{Step: "auth", Detail: "much too late"}}
	}
}

// TestHangingChecksEndInTime: each has its own time, and does not take that of
// another.
func TestHangingChecksEndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		start := time.Now()
		r := Run(t.Context(), Options{
			Relays: []Relay{
				{Name: "deaf", Check: deaf(release)},
				{Name: "slow", Check: func(ctx context.Context) []RelayStep {
					<-ctx.Done()
					return []RelayStep{{Step: "dial", Code: relayCode("dial", ctx.Err())}}
				}},
				{Name: "well", Check: func(context.Context) []RelayStep { return []RelayStep{{Step: "mail", OK: true}} }},
			},
		})
		if took := time.Since(start); took != DefaultCheckTimeout || r.Took != took {
			t.Errorf("took %s and says %s, want %s", took, r.Took, DefaultCheckTimeout)
		}
		want := []string{codeTimedOut, CodeTimeout, codeOK}
		if got := codesOf(r); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		close(release)
		synctest.Wait() // what comes too late is dropped
		if got := codesOf(r); !slices.Equal(got, want) {
			t.Errorf("later: got %q, want %q", got, want)
		}
	})
}

// TestTheWholeEndsInTime: also where check after check takes all of its time.
func TestTheWholeEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		r := Run(t.Context(), Options{
			Relays:       []Relay{{Name: "deaf", Check: deaf(release)}},
			CheckTimeout: time.Hour,
		})
		if r.Took != DefaultTimeout || !slices.Equal(codesOf(r), []string{codeTimedOut}) {
			t.Errorf("took %s with %q, want %s", r.Took, codesOf(r), DefaultTimeout)
		}
	})
}

// TestInterrupted: who asked has gone.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		r := Run(ctx, Options{Relays: []Relay{{Name: "deaf", Check: deaf(release)}}})
		if r.Took != time.Second || !slices.Equal(codesOf(r), []string{codeTimedOut}) ||
			!strings.Contains(r.Findings[0].Problem, "interrupted") {
			t.Errorf("took %s with %+v", r.Took, r.Findings)
		}
	})
}

// TestPanicsAreFindings: and the other checks go on. What it panicked with is
// not told.
func TestPanicsAreFindings(t *testing.T) {
	o := newRig(t).options()
	o.Store.Ping = func(context.Context) error { panic("secret") }
	o.Prove = func(string) string { panic(errors.New("secret")) }
	o.Outbox = func(context.Context) (OutboxStatus, error) {
		var m map[string]int
		m["secret"]++ //nolint:staticcheck // it is the panic that is wanted
		return OutboxStatus{}, nil
	}
	r := Run(t.Context(), o)
	var failed []string
	for _, f := range r.Findings {
		if f.Code == codeFailed {
			failed = append(failed, f.Check)
		}
		if strings.Contains(f.Problem+f.Advice, "secret") {
			t.Errorf("got %+v", f)
		}
	}
	if want := []string{checkOutbox, checkPublicURL, checkStore}; !slices.Equal(failed, want) {
		t.Errorf("got %q, want %q", failed, want)
	}
}

// TestOrderIsStable: a report is the same every time, whichever check was
// faster.
func TestOrderIsStable(t *testing.T) {
	var mu sync.Mutex
	turn := 0
	check := func(context.Context) []RelayStep {
		mu.Lock()
		turn++
		d := time.Duration(turn*7%5) * time.Second
		mu.Unlock()
		time.Sleep(d)
		return []RelayStep{{OK: true}}
	}
	synctest.Test(t, func(t *testing.T) {
		names := []string{"one", "two", "three", "four", "five"}
		var relays []Relay
		for _, name := range names {
			relays = append(relays, Relay{Name: name, Check: check})
		}
		for range 5 {
			var got []string
			for _, f := range Run(t.Context(), Options{Relays: relays, Config: &Config{}}).Findings {
				got = append(got, f.Subject)
			}
			if want := append([]string{""}, names...); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}
