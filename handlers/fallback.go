// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"html"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// fallbackOf returns the stage whose page a request asks for, or sends the form
// of (CS API, "Fallback": /auth/<stage>/fallback/web). Whatever follows belongs to
// it: Synapse's pattern has no end.
func fallbackOf(call *wire.Call) (stage string, ok bool) {
	switch call.R.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		return "", false
	}
	below, ok := strings.CutPrefix(call.Route.Tail, "auth/")
	if !ok {
		return "", false
	}
	stage, _, ok = strings.Cut(below, "/fallback/web")
	return stage, ok && !strings.Contains(stage, "/")
}

// showsName reports whether the page of a stage carries the name in its form. The
// pages of a single sign-on have it in an address that the other side compares,
// so it stays there. A homeserver that has them knows what a session is for.
func showsName(stage string) bool {
	return stage != "m.login.sso" && stage != "m.login.cas"
}

// fallback serves the page on which a person completes one stage of a
// conversation. Its name comes in the query or in the form, and goes out in the
// page's own form.
func (c *Client) fallback(call *wire.Call, stage string) error {
	saved := *call.R
	defer func() { *call.R = saved }()
	page := &fallbackPage{client: c}
	if err := page.open(call); err != nil {
		return c.observed(call.At(route.Route{}), "uia_fallback", func() (int, error) { return 0, err })
	}
	call.R.Header.Set("Accept-Encoding", "identity")
	if page.name == "" || !showsName(stage) {
		return call.Next(call.W, call.R)
	}
	held := &wire.AnswerHolder{ResponseWriter: call.W, Wanted: isText, Sealing: true}
	err := call.Next(held, call.R)
	if location := call.W.Header().Get("Location"); location != "" {
		sealed, _ := page.seal([]byte(location)) // never fails
		call.W.Header().Set("Location", string(sealed))
	}
	held.Pass(page.seal)
	return err
}

// isText reports whether an answer is one that a person reads, or a refusal.
func isText(_ int, h http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err != nil || strings.HasPrefix(mediaType, "text/") || mediaType == "application/json"
}

// fallbackPage is one request for such a page.
type fallbackPage struct {
	client *Client
	// given is the client's name, and name the homeserver's; empty if there is none.
	given threepid.SealedUIASession
	name  threepid.UIASession
}

// open replaces the name in the query and in the form.
func (p *fallbackPage) open(call *wire.Call) error {
	if wire.AmbiguousQuery(call.R.URL) {
		return wire.BadRequest(wire.CodeInvalidParam, "The query cannot be read in one way only")
	}
	call.R.Header = call.R.Header.Clone()
	u, query := *call.R.URL, call.R.URL.Query()
	if changed, err := p.openValues(query); err != nil {
		return err
	} else if changed {
		u.RawQuery = query.Encode()
		call.R.URL, call.R.RequestURI = &u, u.RequestURI()
	}
	if call.R.Method != http.MethodPost {
		return nil
	}
	raw, err := call.Body()
	if err != nil {
		return err
	}
	form, err := wire.FormOf(call.R, raw)
	if err != nil {
		return err
	}
	if changed, err := p.openValues(form); err != nil {
		return err
	} else if changed {
		raw = []byte(form.Encode())
	}
	wire.SetForm(call.R, raw)
	return nil
}

// openValues replaces the name in a query or a form, and reports whether it has
// changed.
func (p *fallbackPage) openValues(values url.Values) (changed bool, err error) {
	names := values["session"]
	switch {
	case len(names) == 0:
		return false, nil
	case len(names) > 1, p.given != "" && string(p.given) != names[0]:
		return false, wire.BadRequest(wire.CodeInvalidParam, "'session' is given twice")
	}
	p.given = threepid.SealedUIASession(names[0])
	opened, ok := p.client.svc.OpenAnyConversation(p.given)
	if !ok {
		values.Del("session")
		return true, nil
	}
	p.name = opened.Session
	values.Set("session", string(p.name))
	return true, nil
}

// seal replaces the homeserver's name in a page, in each way of writing it.
func (p *fallbackPage) seal(page []byte) ([]byte, error) {
	return replaceName(page, p.name, p.given), nil
}

// shortName is what may stand in a text by chance, in bytes. No homeserver has names
// like that: they could be guessed.
const shortName = 8

// replaceName replaces a name of the homeserver's, in each way of writing it.
func replaceName(text []byte, name threepid.UIASession, by threepid.SealedUIASession) []byte {
	if len(name) < shortName {
		return text
	}
	for _, written := range []string{string(name), html.EscapeString(string(name)), url.QueryEscape(string(name)), url.PathEscape(string(name))} {
		text = bytes.ReplaceAll(text, []byte(written), []byte(by))
	}
	return text
}
