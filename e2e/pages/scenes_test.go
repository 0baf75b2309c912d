// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/chromium"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// reading is longer than the pages demand.
const reading = 5 * time.Second

// scene is how a reader gets to see a page.
type scene struct {
	state  web.State
	proof  verification.Proof
	status int
	// act leads the tab there, with real clicks.
	act func(ctx context.Context, s *site, tab *chromium.Tab) error
}

// scenes has one for every page; a test holds it to that.
var scenes = []scene{
	{web.Confirm, verification.ProofLink, 200, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		return tab.Navigate(ctx, s.link(s.open(verification.Password, verification.ProofLink)))
	}},
	{web.Code, verification.ProofCode, 200, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		return tab.Navigate(ctx, s.codeLink(s.open(verification.Add, verification.ProofCode)))
	}},
	{web.Wrong, verification.ProofCode, 400, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		return errors.Join(tab.Navigate(ctx, s.codeLink(s.open(verification.Add, verification.ProofCode))),
			tab.Click(ctx, "#token"), tab.Type(ctx, "nope"),
			tab.Loading(ctx, func() error { return tab.Click(ctx, "button") }))
	}},
	{web.Again, verification.ProofLink, 403, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		return errors.Join(tab.Navigate(ctx, s.link(s.open(verification.Register, verification.ProofLink))),
			// By a program: there is no gesture of a person's.
			tab.Loading(ctx, func() error { return tab.Evaluate(ctx, "document.forms[0].submit()", nil) }))
	}},
	{web.Done, verification.ProofLink, 200, confirm},
	{web.Already, verification.ProofLink, 200, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		if err := confirm(ctx, s, tab); err != nil {
			return err
		}
		return tab.Navigate(ctx, s.link(s.box.Last().SID))
	}},
	{web.Expired, verification.ProofLink, 400, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		link := s.link(s.open(verification.Password, verification.ProofLink))
		s.clock.Advance(25 * time.Hour)
		return tab.Navigate(ctx, link)
	}},
	{web.Revoked, verification.ProofLink, 400, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		sid := s.open(verification.Password, verification.ProofLink)
		s.spoil(sid)
		return tab.Navigate(ctx, s.link(sid))
	}},
	{web.Invalid, verification.ProofLink, 400, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		return tab.Navigate(ctx, s.wrongLink(s.open(verification.Password, verification.ProofLink)))
	}},
	{web.Failed, verification.ProofLink, 500, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		link := s.link(s.open(verification.Password, verification.ProofLink))
		s.store.fail(errors.New("the disk is gone"))
		return tab.Navigate(ctx, link)
	}},
	{web.Busy, verification.ProofLink, 503, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		link := s.link(s.open(verification.Password, verification.ProofLink))
		s.store.fail(store.ErrClosed)
		return tab.Navigate(ctx, link)
	}},
	{web.Refuse, verification.ProofLink, 200, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		return tab.Navigate(ctx, s.refuseLink(s.open(verification.Password, verification.ProofLink)))
	}},
	{web.Insist, verification.ProofLink, 403, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		return errors.Join(tab.Navigate(ctx, s.refuseLink(s.open(verification.Password, verification.ProofLink))),
			tab.Loading(ctx, func() error { return tab.Evaluate(ctx, "document.forms[0].submit()", nil) }))
	}},
	{web.Refused, verification.ProofLink, 200, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		err := tab.Navigate(ctx, s.refuseLink(s.open(verification.Password, verification.ProofLink)))
		s.clock.Advance(reading)
		return errors.Join(err, tab.Loading(ctx, func() error { return tab.Click(ctx, "button") }))
	}},
	{web.Help, verification.ProofCode, 200, func(ctx context.Context, s *site, tab *chromium.Tab) error {
		sid := s.open(verification.Add, verification.ProofCode)
		return errors.Join(s.svc.NoteFeedback(ctx, sid, verification.Bounced),
			tab.Navigate(ctx, s.local(publicURL+handlers.SubmitPath+"email/submitToken?"+web.Query("sid", sid, "client_secret", secret, "help", "1"))))
	}},
}

// confirm reads the page and presses its button.
func confirm(ctx context.Context, s *site, tab *chromium.Tab) error {
	if err := tab.Navigate(ctx, s.link(s.open(verification.Register, verification.ProofLink))); err != nil {
		return err
	}
	s.clock.Advance(reading)
	return tab.Loading(ctx, func() error { return tab.Click(ctx, "button") })
}

// play shows a scene and checks that it is the one.
func play(t *testing.T, ctx context.Context, page *chromium.Tab, sc scene) *site {
	t.Helper()
	s := newSite(t, sc.proof, pageOptions(t))
	if err := sc.act(ctx, s, page); err != nil {
		t.Fatalf("%s: %v", sc.state, err)
	}
	if status, kind := page.Status("Content-Type"); status != sc.status || kind != "text/html; charset=utf-8" {
		t.Fatalf("%s: got status %d, type %q, want %d", sc.state, status, kind, sc.status)
	}
	return s
}

// TestEveryPageHasAScene: a page that is added is pictured and checked, too.
func TestEveryPageHasAScene(t *testing.T) {
	have := map[web.State]bool{}
	for _, sc := range scenes {
		have[sc.state] = true
	}
	for _, state := range web.States {
		if !have[state] {
			t.Errorf("no scene shows %q", state)
		}
	}
}
