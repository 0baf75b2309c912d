// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// office is an Intake with everything around it recorded.
type office struct {
	*Intake
	sessions map[string]Target // by tag and by Message-ID
	sink     []string
	reports  []Report
	list     []string
	seen     []string
	fail     map[string]bool // sink, list, lookup
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{fail: map[string]bool{}, sessions: map[string]Target{
		"tag-of-alice": {SID: "alice-session", Address: alice},
		"tag-of-gone":  {SID: "gone-session"},
		"m1@x.org":     {SID: "alice-session", Address: alice},
		"":             {SID: "whatever-has-no-name", Address: bob},
	}}
	find := func(_ context.Context, name string) (Target, bool, error) {
		if o.fail["lookup"] {
			return Target{}, false, errBroken
		}
		target, ok := o.sessions[name]
		return target, ok, nil
	}
	i, err := NewIntake(IntakeConfig{
		Sink: o, Suppress: o, ByTag: find, ByMessageID: find, Now: func() time.Time { return start },
		Observe: func(kind, provider, outcome string) { o.seen = append(o.seen, kind+" "+provider+" "+outcome) },
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Intake = i
	return o
}

func (o *office) Delivered(_ context.Context, sid threepid.SID, r Report) error {
	if o.fail["sink"] {
		return errBroken
	}
	o.sink = append(o.sink, string(sid))
	o.reports = append(o.reports, r)
	return nil
}

func (o *office) Record(_ context.Context, id threepid.ThreePID, _ Report) error {
	if o.fail["list"] {
		return errBroken
	}
	o.list = append(o.list, id.Address)
	return nil
}

func TestIntakeTakesReportsWhereTheyBelong(t *testing.T) {
	bounce := func(r Report) Report {
		r.Kind, r.Permanent, r.Code = Bounce, true, "5.1.1"
		return r
	}
	tests := map[string]struct {
		from   Provider
		report Report
		sink   []string
		list   []string
		seen   string
	}{
		"by tag": {
			SES, bounce(Report{VERPTag: "tag-of-alice", Address: alice}),
			[]string{"alice-session"},
			[]string{alice},
			"bounce ses recorded",
		},
		"by Message-ID": {
			Mailgun, bounce(Report{MessageID: "m1@x.org", Address: alice}),
			[]string{"alice-session"},
			[]string{alice},
			"bounce mailgun recorded",
		},
		"by Message-ID where the tag is unknown": {
			SendGrid, bounce(Report{VERPTag: "unknown", MessageID: "m1@x.org"}),
			[]string{"alice-session"},
			[]string{alice},
			"bounce sendgrid recorded",
		},
		"session gone, the service vouches for the address": {
			SES, bounce(Report{VERPTag: "tag-of-gone", Address: bob}),
			[]string{"gone-session"},
			[]string{bob},
			"bounce ses recorded",
		},
		"no session, the service vouches for the address": {
			Postmark, bounce(Report{Address: bob}), nil, []string{bob}, "bounce postmark recorded",
		},
		"no session, nothing against the address": {
			Postmark, Report{Kind: Delivered, Address: bob}, nil, nil, "delivered postmark unresolved",
		},
		"no session, no address": {
			SendGrid, bounce(Report{}), nil, nil, "bounce sendgrid unresolved",
		},
		"session and address contradict": {
			SES, bounce(Report{VERPTag: "tag-of-alice", Address: bob}), nil, nil, "bounce ses mismatch",
		},
		"mail by tag": {
			Mail, bounce(Report{VERPTag: "tag-of-alice", Address: alice}),
			[]string{"alice-session"},
			[]string{alice},
			"bounce mail recorded",
		},
		"delivered": {
			SES, Report{Kind: Delivered, VERPTag: "tag-of-alice"}, []string{"alice-session"}, []string{alice}, "delivered ses recorded",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			if err := o.Receive(context.Background(), tt.from, []Report{tt.report}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(o.sink, tt.sink) || !slices.Equal(o.list, tt.list) || !slices.Equal(o.seen, []string{tt.seen}) {
				t.Errorf("sink %q, list %q, seen %q; want %q, %q, %q", o.sink, o.list, o.seen, tt.sink, tt.list, tt.seen)
			}
		})
	}
}

func TestMailSuppressesNobodyButTheReaderOfTheTaggedMessage(t *testing.T) {
	tests := map[string]struct {
		report Report
		sink   []string
		list   []string
		seen   string
	}{
		"names somebody else": {
			Report{Kind: Bounce, Permanent: true, VERPTag: "tag-of-alice", Address: bob},
			[]string{"alice-session"},
			[]string{alice},
			"bounce mail recorded",
		},
		"session gone, so nobody knows whose tag it is": {
			Report{Kind: Complaint, VERPTag: "tag-of-gone", Address: bob},
			[]string{"gone-session"},
			nil, "complaint mail recorded",
		},
		"Message-ID without a tag": {
			Report{Kind: Complaint, MessageID: "m1@x.org", Address: alice}, nil, nil, "complaint mail unresolved",
		},
		"Message-ID with a wrong tag": {
			Report{Kind: Complaint, VERPTag: "forged", MessageID: "m1@x.org", Address: alice}, nil, nil, "complaint mail unresolved",
		},
		"neither": {
			Report{Kind: Bounce, Permanent: true, Address: bob}, nil, nil, "bounce mail unresolved",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			if err := o.Receive(context.Background(), Mail, []Report{tt.report}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(o.sink, tt.sink) || !slices.Equal(o.list, tt.list) || !slices.Equal(o.seen, []string{tt.seen}) {
				t.Errorf("sink %q, list %q, seen %q; want %q, %q, %q", o.sink, o.list, o.seen, tt.sink, tt.list, tt.seen)
			}
		})
	}
}

func TestIntakeFailsSoThatTheSenderRepeats(t *testing.T) {
	for _, what := range []string{"sink", "list", "lookup"} {
		o := newOffice(t)
		o.fail[what] = true
		good := Report{Kind: Bounce, VERPTag: "tag-of-alice"}
		err := o.Receive(context.Background(), SES, []Report{good, good})
		if !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", what, err)
		}
		if want := []string{"bounce ses failed", "bounce ses failed"}; !slices.Equal(o.seen, want) {
			t.Errorf("%s: seen %q, want %q: one failure must not hide the next", what, o.seen, want)
		}
	}
}

func TestIntakeTimesWhatHasNoTimeOrAnImpossibleOne(t *testing.T) {
	o := newOffice(t)
	past := start.Add(-time.Hour)
	for _, at := range []time.Time{{}, start.Add(time.Hour), past} {
		r := Report{Kind: Deferred, VERPTag: "tag-of-alice", At: at}
		if err := o.Receive(context.Background(), SES, []Report{r}); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []time.Time{start, start, past} {
		if got := o.reports[i].At; !got.Equal(want) {
			t.Errorf("report %d is of %v, want %v", i, got, want)
		}
	}
}

func TestIntakeNotes(t *testing.T) {
	o := newOffice(t)
	o.Note(Mailgun, Forbidden)
	if want := []string{"none mailgun forbidden"}; !slices.Equal(o.seen, want) {
		t.Errorf("seen %q, want %q", o.seen, want)
	}
}

func TestNewIntakeChecksAndFillsIn(t *testing.T) {
	o := newOffice(t)
	find := o.cfg.ByTag
	for name, cfg := range map[string]IntakeConfig{
		"no sink": {Suppress: o, ByTag: find}, "no list": {Sink: o, ByTag: find}, "no look-up": {Sink: o, Suppress: o},
	} {
		if _, err := NewIntake(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	i, err := NewIntake(IntakeConfig{Sink: o, Suppress: o, ByTag: find})
	if err != nil {
		t.Fatal(err)
	}
	// Without ByMessageID, Observe and Now it works just the same.
	if err := i.Receive(context.Background(), SES, []Report{{Kind: Bounce, MessageID: "m1@x.org"}}); err != nil || o.sink != nil {
		t.Errorf("%v, sink %q", err, o.sink)
	}
}

func TestIntakeOverARealListSurvivesReplays(t *testing.T) {
	o, b := newOffice(t), newBench(t, Policy{})
	o.cfg.Suppress = b
	r := Report{Kind: Bounce, Permanent: true, Code: "5.1.1", VERPTag: "tag-of-alice", At: start.Add(-time.Hour), ID: "1"}
	for range 5 {
		if err := o.Receive(context.Background(), SES, []Report{r}); err != nil {
			t.Fatal(err)
		}
	}
	e, ok, err := b.Lookup(context.Background(), threepid.ThreePID{Medium: threepid.Email, Address: alice})
	if want := r.At.Add(90 * day); err != nil || !ok || !e.Until.Equal(want) {
		t.Errorf("Lookup = %+v, %t, %v, want an end at %v", e, ok, err, want)
	}
}
