// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// PageOptions are the words and the looks of pages.
type PageOptions struct {
	// Words has the words; nil means those that come with the program.
	Words web.Dictionary
	// Looks are the brands by name; "" is for all others.
	Looks map[string]web.Look
	// Now is the clock; nil means the real one.
	Now func() time.Time
}

// newPages makes pages in our own words and colours.
func newPages(publicURL string) *web.Pages {
	p, err := web.New(web.Options{Server: hostOf(publicURL)})
	if err != nil {
		panic(err) // the name of the server is all that is given, and it was checked
	}
	return p
}

// hostOf is the name by which readers know the server, of an origin.
func hostOf(publicURL string) string {
	_, host, _ := strings.Cut(publicURL, "://")
	return host
}

// SetPages gives the pages other words and looks. It must be called before the
// first request.
func (c *Client) SetPages(opts PageOptions) error {
	p, err := web.New(web.Options{Server: hostOf(c.cfg.PublicURL), Words: opts.Words, Looks: opts.Looks, Now: opts.Now})
	if err != nil {
		return err
	}
	c.people.page = p
	return nil
}

// people are served by pages: what a link leads to, and the forms behind it.
type people struct {
	cfg  *Config
	svc  *verification.Service
	page *web.Pages
}

// pressCheck tells people from programs.
func (p *people) pressCheck() web.PressCheck {
	return web.PressCheck{Seal: p.svc, Now: p.page.Now, Secure: strings.HasPrefix(p.cfg.PublicURL, "https://")}
}

// show renders a page that is no failure.
func (p *people) show(call *wire.Call, v web.View) (int, error) {
	if err := p.page.Render(call.W, call.R, http.StatusOK, v); err != nil {
		return 0, &rendered{wire.Internal(err)}
	}
	return http.StatusOK, nil
}

// showFailure renders a page for a verdict, which is reported.
func (p *people) showFailure(call *wire.Call, verdict *wire.MatrixError, v web.View) (int, error) {
	if err := p.page.Render(call.W, call.R, verdict.Status, v); err != nil {
		return 0, &rendered{wire.Internal(err)}
	}
	return 0, &rendered{verdict}
}

// showPage is the link in the mail: it asks, and changes nothing.
func (p *people) showPage(call *wire.Call) (int, error) {
	query := call.R.URL.Query()
	sub := pageSubmission(query)
	sub.Discreet = p.cfg.discreet()
	if query.Get("help") != "" {
		return p.helpPage(call, sub)
	}
	if state := p.seenOf(route.PagePath(route.MediumOf(call.R.URL.Path)), query); state != "" {
		return p.seenPage(call, sub, state)
	}
	return p.asThingsStand(call, sub)
}

// asThingsStand is the page of a link.
func (p *people) asThingsStand(call *wire.Call, sub verification.Submission) (int, error) {
	found, err := p.svc.Inspect(call.R.Context(), sub)
	if err != nil {
		return p.failedPage(call, err)
	}
	if found.Already && found.Proof == verification.ProofLink {
		return p.confirmedPage(call, sub, found, web.Already)
	}
	if found.Proof == verification.ProofCode && !code(sub.Token) {
		return p.show(call, p.codeView(sub, found, web.Code))
	}
	return p.show(call, p.pressView(call.R, sub, found))
}

// confirmPage is the button of that page.
func (p *people) confirmPage(call *wire.Call) (int, error) {
	values, err := postedForm(call)
	if err != nil {
		return p.failedPage(call, err)
	}
	sub := pageSubmission(values)
	sub.Discreet = p.cfg.discreet()
	if !p.svc.Owns(sub.SID) {
		return p.failedPage(call, verification.ErrNoSession) // there is no page to send to
	}
	if link := values.Get(linkField); link != "" {
		typed := sub.Token
		sub.Token, _ = input.Code(link)
		if !p.typed(call.R, values, sub, typed) {
			return p.askAgain(call, sub)
		}
	} else if !p.meant(call.R, values, sub) {
		return p.askAgain(call, sub)
	}
	done, err := p.confirm(call.R, sub)
	if errors.Is(err, verification.ErrTokenIncorrect) {
		return p.wrongToken(call, sub)
	}
	if err != nil {
		return p.failedForm(call, sub, err)
	}
	if next := p.wayOn(done, sub.SID); next != "" {
		web.Headers(call.W.Header())
		call.W.Header().Set("Location", next)
		call.W.WriteHeader(http.StatusFound)
		return http.StatusFound, nil
	}
	state := web.Done
	if done.Already {
		state = web.Already
	}
	return p.sendToPage(call, sub, state, nil)
}

// postedForm reads the body of a form.
func postedForm(call *wire.Call) (url.Values, error) {
	raw, err := call.Body()
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, verification.ErrNoSession
	}
	return values, nil
}

// meant reports whether a person has sent this form. Where the token was typed
// in, it is enough that the page was ours: no program types what is in a mail.
func (p *people) meant(r *http.Request, values url.Values, sub verification.Submission) bool {
	nonce, check := values.Get("nonce"), p.pressCheck()
	return check.Human(r, nonce, aboutPress(sub)) || check.Genuine(r, nonce, aboutCode(sub))
}

// linkField has the token of the link where the code beside it is typed in.
const linkField = "link"

// typed reports whether the code beside the link was typed into a page of ours.
func (p *people) typed(r *http.Request, values url.Values, sub verification.Submission, code string) bool {
	return p.pressCheck().Genuine(r, values.Get("nonce"), aboutCheck(sub)) && p.svc.PressCodeValid(sub.SID, sub.Token, code)
}

// aboutCheck is what the nonce of a page that asks for that code is about.
func aboutCheck(sub verification.Submission) string {
	return "check\x00" + sub.SID + "\x00" + sub.Token
}

// aboutPress is what the nonce of a page with a button is about.
func aboutPress(sub verification.Submission) string {
	return "press\x00" + sub.SID + "\x00" + sub.Token
}

// aboutCode is what the nonce of a page that asks for a code is about.
func aboutCode(sub verification.Submission) string { return "code\x00" + sub.SID }

// errMachine is the verdict on a press that may have been a program's.
var errMachine = &wire.MatrixError{Status: http.StatusForbidden, Errcode: wire.CodeForbidden, Message: "A person has to press the button"}

// askAgain answers a press that may have been a program's: it did not count.
// What only the reader of the mail can do is to type its code. A mail with a
// link has one for this; it is worth nothing without the link, so that a wrong
// one only asks once more.
func (p *people) askAgain(call *wire.Call, sub verification.Submission) (int, error) {
	found, err := p.svc.Inspect(call.R.Context(), sub)
	if err != nil {
		return p.failedForm(call, sub, err)
	}
	switch {
	case found.Proof == verification.ProofCode:
		v := p.codeView(sub, found, web.Code)
		v.Retype = true
		return p.showFailure(call, errMachine, v)
	case found.Already:
		return p.sendToPage(call, sub, web.Already, nil)
	}
	v := p.formView(sub, found, web.Again, p.pressCheck().Nonce(web.First, aboutCheck(sub)))
	v.Fields = append(v.Fields, web.Field{Name: linkField, Value: sub.Token})
	v.Address, v.Asked = shown(found), p.askedOf(call.R, sub, found) // the link proves that its reader knows it
	return p.showFailure(call, errMachine, v)
}

// wrongToken asks for the code again, as long as there are tries.
func (p *people) wrongToken(call *wire.Call, sub verification.Submission) (int, error) {
	if _, err := p.svc.Inspect(call.R.Context(), sub); err != nil {
		return p.failedForm(call, sub, err)
	}
	return p.sendToPage(call, sub, web.Wrong, wire.ErrorOf(wire.SubmitError(verification.ErrTokenIncorrect)))
}

// wrongPage is the page after a wrong code.
func (p *people) wrongPage(call *wire.Call, sub verification.Submission) (int, error) {
	found, err := p.svc.Inspect(call.R.Context(), sub)
	if err != nil {
		return p.failedPage(call, err)
	}
	return p.showFailure(call, wire.ErrorOf(wire.SubmitError(verification.ErrTokenIncorrect)), p.codeView(sub, found, web.Wrong))
}

// viewOf is a page about a session. It does not name the address.
func viewOf(found verification.Confirmed, state web.State) web.View {
	return web.View{
		State: state, Purpose: string(found.Purpose), Brand: found.Brand, Language: found.Language,
		Phone: found.Medium == verification.MSISDN,
	}
}

// pressView is a page with a button for the token of the link.
func (p *people) pressView(r *http.Request, sub verification.Submission, found verification.Confirmed) web.View {
	v := p.formView(sub, found, web.Confirm, p.pressCheck().Nonce(web.First, aboutPress(sub)))
	v.Fields = append(v.Fields, web.Field{Name: "token", Value: sub.Token})
	if found.Proof == verification.ProofLink {
		v.Address = shown(found) // the link proves that its reader knows it
		v.Asked = p.askedOf(r, sub, found)
	}
	return v
}

// codeView is a page that a code is typed into.
func (p *people) codeView(sub verification.Submission, found verification.Confirmed, state web.State) web.View {
	v := p.formView(sub, found, state, p.pressCheck().Nonce(web.First, aboutCode(sub)))
	v.Help = route.PagePath(found.Medium) + "?" + web.HelpQuery(sub)
	return v
}

func (p *people) formView(sub verification.Submission, found verification.Confirmed, state web.State, nonce string) web.View {
	v := viewOf(found, state)
	v.Action = route.PagePath(found.Medium)
	v.Fields = []web.Field{{Name: "sid", Value: sub.SID}, {Name: "nonce", Value: nonce}}
	if sub.ClientSecret != nil {
		v.Fields = append(v.Fields, web.Field{Name: "client_secret", Value: *sub.ClientSecret})
	}
	v.FormTarget, _ = p.cfg.nextLinkOrigin(found.NextLink)
	return v
}

// code reports whether a token may be one that we sent as a code: others are
// not repeated in a page.
func code(token string) bool {
	return token != "" && len(token) <= 16 && strings.Trim(token, "0123456789") == ""
}

// pageSubmission reads a link's query or a form. The link in a mail has no
// client_secret; one that is there must be right.
func pageSubmission(values url.Values) verification.Submission {
	sub := verification.Submission{SID: values.Get("sid")}
	sub.Token, _ = input.Code(values.Get("token"))
	if secret := values.Get("client_secret"); secret != "" {
		sub.ClientSecret = &secret
	}
	return sub
}

// askedOf is what a page says of the request that its link is from. Only whoever
// has the link may see it: to the client it would tell that somebody else has
// asked for the same address.
func (p *people) askedOf(r *http.Request, sub verification.Submission, found verification.Confirmed) web.Asked {
	origin := words.OriginOf(found)
	// Should the store fail, the page says less; confirming will fail, too.
	another, err := p.svc.Another(r.Context(), sub.SID, found)
	return web.Asked{Made: origin.Made, App: origin.App, Network: origin.Network, Another: another && err == nil}
}
