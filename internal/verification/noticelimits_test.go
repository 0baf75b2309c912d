// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// TestNoticesAreCountedByChange, and not by reader; a change that nobody is said to
// have made is not counted with others; and what an address is told about itself is
// not counted for the account.
func TestNoticesAreCountedByChange(t *testing.T) {
	for _, c := range []struct {
		account string
		notice  Notice
		limited bool
	}{{mxid, NoticeAdded, true}, {mxid, NoticeRemoved, true}, {mxid, NoticeGone, false}, {mxid, NoticeNew, false}, {"", NoticeAdded, false}} {
		f := newFixture(t)
		for change := range 12 {
			var readers []Reader
			for n := range 5 {
				readers = append(readers, Reader{fmt.Sprintf("a%d.%d@example.com", change, n), c.notice})
			}
			err := f.Notify(bg, Happened{Account: c.account}, readers)
			if c.limited && change >= noticesPerAccount.Burst {
				wantLimited(t, err)
			} else if err != nil {
				t.Errorf("%q, %s: change %d: %v", c.account, c.notice, change, err)
			}
		}
	}
}

// TestNoticesHaveABudgetOfTheirOwn for each kind, as large as that of requests, and
// what could not be stored is given back to it.
func TestNoticesHaveABudgetOfTheirOwn(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Messages = ratelimit.Limit{Burst: 2, Per: time.Hour} })
	notify := func(n int, notice Notice) error {
		return f.Notify(bg, Happened{}, []Reader{{fmt.Sprintf("a%d@example.com", n), notice}})
	}
	f.outbox.refuse = errors.New("the outbox is full")
	for n := range 5 {
		wantErr(t, "Notify", notify(n, NoticeGone), f.outbox.refuse)
	}
	f.outbox.refuse = nil
	for _, notice := range []Notice{NoticeGone, NoticeNew} {
		wantErr(t, "first", notify(10, notice), nil)
		wantErr(t, "second", notify(11, notice), nil)
		wantLimited(t, notify(12, notice))
	}
	f.open(ask(granted))
	f.open(ask(granted, secret("other")))
	_, err := f.RequestToken(bg, ask(granted, secret("third")))
	if got := refusedBy(t, err); got != LimitMessages {
		t.Errorf("a third request is refused by %q, want by the budget", got)
	}
}

// TestVerdictPrefersFailures: a limit is told where nothing has failed.
func TestVerdictPrefersFailures(t *testing.T) {
	broken, limit := errors.New("broken"), &LimitError{RetryAfter: 1, Limit: LimitNotices}
	for i, c := range []struct {
		errs []error
		want []error
		not  error
	}{
		{nil, nil, nil},
		{[]error{nil, nil}, nil, nil},
		{[]error{nil, limit}, []error{limit}, nil},
		{[]error{limit, broken, nil}, []error{broken}, limit},
	} {
		got := verdict(c.errs)
		if (got == nil) != (c.want == nil) || c.not != nil && errors.Is(got, c.not) {
			t.Errorf("%d: got %v, want %v", i, got, c.want)
		}
		for _, want := range c.want {
			if !errors.Is(got, want) {
				t.Errorf("%d: got %v, want %v in it", i, got, want)
			}
		}
	}
}

// TestConfirmingWithoutALanguageForgetsNone, nor does a second click remember one anew.
func TestConfirmingWithoutALanguageForgetsNone(t *testing.T) {
	f := newFixture(t)
	speaks := func(lang string) func(*Request) { return func(r *Request) { r.Language = lang } }
	want := func(when, want string) {
		t.Helper()
		if got := f.languageOf(bg, ask().ThreePID); got != want {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
	}
	first := f.validated(ask(speaks("de")))
	token := f.outbox.last(t).Token
	want("confirmed in German", "de")
	f.validated(ask(secret("silent")))
	want("confirmed in no language", "de")
	f.validated(ask(secret("french"), speaks("fr")))
	before := dump(t, f.cfg.Store)
	f.confirm(first, token)
	want("clicked again in the German mail", "fr")
	if after := dump(t, f.cfg.Store); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Error("a second click has written something")
	}
	if got := f.languageOf(bg, threepid.ThreePID{Medium: threepid.MSISDN, Address: ask().Address}); got != "" {
		t.Errorf("of another medium: got %q", got)
	}
}
