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
	c.page = p
	return nil
}

// gate tells people from programs.
func (c *Client) gate() web.Gate {
	return web.Gate{Seal: c.svc, Now: c.page.Now, Secure: strings.HasPrefix(c.cfg.PublicURL, "https://")}
}

// show renders a page that is no failure.
func (c *Client) show(call *wire.Call, v web.View) (int, error) {
	if err := c.page.Render(call.W, call.R, http.StatusOK, v); err != nil {
		return 0, &rendered{wire.Internal(err)}
	}
	return http.StatusOK, nil
}

// showFailure renders a page for a verdict, which is reported.
func (c *Client) showFailure(call *wire.Call, verdict *wire.MatrixError, v web.View) (int, error) {
	if err := c.page.Render(call.W, call.R, verdict.Status, v); err != nil {
		return 0, &rendered{wire.Internal(err)}
	}
	return 0, &rendered{verdict}
}

// showPage is the link in the mail: it asks, and changes nothing.
func (c *Client) showPage(call *wire.Call) (int, error) {
	query := call.R.URL.Query()
	sub := pageSubmission(query)
	sub.Discreet = c.cfg.discreet()
	if query.Get("help") != "" {
		return c.helpPage(call, sub)
	}
	if state := c.seenOf(route.PagePath(route.MediumOf(call.R.URL.Path)), query); state != "" {
		return c.seenPage(call, sub, state)
	}
	return c.asThingsStand(call, sub)
}

// asThingsStand is the page of a link.
func (c *Client) asThingsStand(call *wire.Call, sub verification.Submission) (int, error) {
	found, err := c.svc.Inspect(call.R.Context(), sub)
	if err != nil {
		return c.failedPage(call, err)
	}
	if found.Already && found.Proof == verification.ProofLink {
		return c.confirmedPage(call, sub, found, web.Already)
	}
	if found.Proof == verification.ProofCode && !code(sub.Token) {
		return c.show(call, c.codeView(sub, found, web.Code))
	}
	return c.show(call, c.pressView(call.R, sub, found))
}

// confirmPage is the button of that page.
func (c *Client) confirmPage(call *wire.Call) (int, error) {
	values, err := postedForm(call)
	if err != nil {
		return c.failedPage(call, err)
	}
	sub := pageSubmission(values)
	sub.Discreet = c.cfg.discreet()
	if !c.svc.Owns(sub.SID) {
		return c.failedPage(call, verification.ErrNoSession) // there is no page to send to
	}
	if link := values.Get(linkField); link != "" {
		typed := sub.Token
		sub.Token, _ = input.Code(link)
		if !c.typed(call.R, values, sub, typed) {
			return c.askAgain(call, sub)
		}
	} else if !c.meant(call.R, values, sub) {
		return c.askAgain(call, sub)
	}
	done, err := c.confirm(call.R, sub)
	if errors.Is(err, verification.ErrTokenIncorrect) {
		return c.wrongToken(call, sub)
	}
	if err != nil {
		return c.failedForm(call, sub, err)
	}
	if next := c.wayOn(done, sub.SID); next != "" {
		web.Headers(call.W.Header())
		call.W.Header().Set("Location", next)
		call.W.WriteHeader(http.StatusFound)
		return http.StatusFound, nil
	}
	state := web.Done
	if done.Already {
		state = web.Already
	}
	return c.sendToPage(call, sub, state, nil)
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
func (c *Client) meant(r *http.Request, values url.Values, sub verification.Submission) bool {
	nonce, gate := values.Get("nonce"), c.gate()
	return gate.Human(r, nonce, aboutPress(sub)) || gate.Genuine(r, nonce, aboutCode(sub))
}

// linkField has the token of the link where the code beside it is typed in.
const linkField = "link"

// typed reports whether the code beside the link was typed into a page of ours.
func (c *Client) typed(r *http.Request, values url.Values, sub verification.Submission, code string) bool {
	return c.gate().Genuine(r, values.Get("nonce"), aboutCheck(sub)) && c.svc.PressCodeValid(sub.SID, sub.Token, code)
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
func (c *Client) askAgain(call *wire.Call, sub verification.Submission) (int, error) {
	found, err := c.svc.Inspect(call.R.Context(), sub)
	if err != nil {
		return c.failedForm(call, sub, err)
	}
	switch {
	case found.Proof == verification.ProofCode:
		v := c.codeView(sub, found, web.Code)
		v.Retype = true
		return c.showFailure(call, errMachine, v)
	case found.Already:
		return c.sendToPage(call, sub, web.Already, nil)
	}
	v := c.formView(sub, found, web.Again, c.gate().Nonce(web.First, aboutCheck(sub)))
	v.Fields = append(v.Fields, web.Field{Name: linkField, Value: sub.Token})
	v.Address, v.Asked = shown(found), c.askedOf(call.R, sub, found) // the link proves that its reader knows it
	return c.showFailure(call, errMachine, v)
}

// wrongToken asks for the code again, as long as there are tries.
func (c *Client) wrongToken(call *wire.Call, sub verification.Submission) (int, error) {
	if _, err := c.svc.Inspect(call.R.Context(), sub); err != nil {
		return c.failedForm(call, sub, err)
	}
	return c.sendToPage(call, sub, web.Wrong, wire.ErrorOf(wire.SubmitError(verification.ErrTokenIncorrect)))
}

// wrongPage is the page after a wrong code.
func (c *Client) wrongPage(call *wire.Call, sub verification.Submission) (int, error) {
	found, err := c.svc.Inspect(call.R.Context(), sub)
	if err != nil {
		return c.failedPage(call, err)
	}
	return c.showFailure(call, wire.ErrorOf(wire.SubmitError(verification.ErrTokenIncorrect)), c.codeView(sub, found, web.Wrong))
}

// viewOf is a page about a session. It does not name the address.
func viewOf(found verification.Confirmed, state web.State) web.View {
	return web.View{
		State: state, Purpose: string(found.Purpose), Brand: found.Brand, Language: found.Language,
		Phone: found.Medium == verification.MSISDN,
	}
}

// pressView is a page with a button for the token of the link.
func (c *Client) pressView(r *http.Request, sub verification.Submission, found verification.Confirmed) web.View {
	v := c.formView(sub, found, web.Confirm, c.gate().Nonce(web.First, aboutPress(sub)))
	v.Fields = append(v.Fields, web.Field{Name: "token", Value: sub.Token})
	if found.Proof == verification.ProofLink {
		v.Address = shown(found) // the link proves that its reader knows it
		v.Asked = c.askedOf(r, sub, found)
	}
	return v
}

// codeView is a page that a code is typed into.
func (c *Client) codeView(sub verification.Submission, found verification.Confirmed, state web.State) web.View {
	v := c.formView(sub, found, state, c.gate().Nonce(web.First, aboutCode(sub)))
	v.Help = route.PagePath(found.Medium) + "?" + web.HelpQuery(sub)
	return v
}

func (c *Client) formView(sub verification.Submission, found verification.Confirmed, state web.State, nonce string) web.View {
	v := viewOf(found, state)
	v.Action = route.PagePath(found.Medium)
	v.Fields = []web.Field{{Name: "sid", Value: sub.SID}, {Name: "nonce", Value: nonce}}
	if sub.ClientSecret != nil {
		v.Fields = append(v.Fields, web.Field{Name: "client_secret", Value: *sub.ClientSecret})
	}
	v.FormTarget, _ = c.nextLinkOrigin(found.NextLink)
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
func (c *Client) askedOf(r *http.Request, sub verification.Submission, found verification.Confirmed) web.Asked {
	origin := words.OriginOf(found)
	// Should the store fail, the page says less; confirming will fail, too.
	another, err := c.svc.Another(r.Context(), sub.SID, found)
	return web.Asked{Made: origin.Made, App: origin.App, Network: origin.Network, Another: another && err == nil}
}
