// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

//go:embed pages/*.html pages/style.css
var pageFiles embed.FS

// pages renders what a person sees. There is no script, and nothing is loaded
// from anywhere.
type pages struct {
	tmpl   *template.Template
	style  template.CSS
	hash   string // of the style, for the Content-Security-Policy
	server string
}

func newPages(publicURL string) *pages {
	style, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		panic(err) // embedded
	}
	sum := sha256.Sum256(style)
	server := publicURL
	if u, err := url.Parse(publicURL); err == nil {
		server = u.Host
	}
	return &pages{
		tmpl:   template.Must(template.ParseFS(pageFiles, "pages/*.html")),
		style:  template.CSS(style), //nolint:gosec // our own embedded file
		hash:   base64.StdEncoding.EncodeToString(sum[:]),
		server: server,
	}
}

// view is what the template is given; only typed data, never a request.
type view struct {
	Style   template.CSS
	Action  string
	Server  string
	State   string // confirm, code, done, already, expired, invalid, error
	Purpose verification.Purpose
	Address string
	SID     string
	Token   string
	Secret  string
}

// render writes a page. formTargets are the origins, besides our own, to which
// the form may lead: browsers apply form-action to redirects as well.
func (p *pages) render(w http.ResponseWriter, r *http.Request, status int, v view, formTarget string) {
	v.Style, v.Server = p.style, p.server
	v.Action = SubmitPath + string(verification.Email) + submitTail
	var buf bytes.Buffer
	if err := p.tmpl.ExecuteTemplate(&buf, "page.html", v); err != nil {
		status = http.StatusInternalServerError
		buf.Reset()
		buf.WriteString("Internal server error\n")
	}
	h := w.Header()
	pageHeaders(h)
	csp := "default-src 'none'; style-src 'sha256-" + p.hash + "'; form-action 'self'"
	if formTarget != "" {
		csp += " " + formTarget
	}
	h.Set("Content-Security-Policy", csp+"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(buf.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(buf.Bytes()) // the reader may be gone
	}
}

// pageHeaders keep the page, whose address is a secret, out of caches, frames,
// search engines and other servers' logs.
func pageHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// showPage is the link in the mail: it asks, and changes nothing.
func (c *Client) showPage(w http.ResponseWriter, r *http.Request) (int, error) {
	sub := pageSubmission(r.URL.Query())
	found, err := c.svc.Inspect(r.Context(), sub)
	if err != nil {
		return c.failedPage(w, r, err)
	}
	v := view{State: "confirm", Purpose: found.Purpose, SID: sub.SID, Token: sub.Token}
	if sub.ClientSecret != nil {
		v.Secret = *sub.ClientSecret
	}
	switch {
	case found.Already && found.Proof == verification.ProofLink:
		v.State = "already"
	case found.Proof == verification.ProofCode && sub.Token == "":
		v.State = "code"
	}
	if found.Proof == verification.ProofLink {
		v.Address = found.Address // the link proves that its reader knows it
	}
	target, _ := c.nextLinkOrigin(found.NextLink)
	c.page.render(w, r, http.StatusOK, v, target)
	return http.StatusOK, nil
}

// confirmPage is the button of that page.
func (c *Client) confirmPage(w http.ResponseWriter, r *http.Request) (int, error) {
	raw, err := readBody(w, r, c.cfg.MaxBody)
	if err != nil {
		return c.failedPage(w, r, err)
	}
	values, err := url.ParseQuery(string(raw))
	if err != nil {
		return c.failedPage(w, r, verification.ErrNoSession)
	}
	sub := pageSubmission(values)
	done, err := c.svc.Submit(r.Context(), sub)
	if err != nil {
		return c.failedPage(w, r, err)
	}
	// The list may have changed since the link was accepted.
	if done.NextLink != "" && c.nextLinkAllowed(done.NextLink) {
		pageHeaders(w.Header())
		w.Header().Set("Location", withSID(done.NextLink, sub.SID))
		w.WriteHeader(http.StatusFound)
		return http.StatusFound, nil
	}
	v := view{State: "done", Purpose: done.Purpose, Address: done.Address}
	if done.Already {
		v.State = "already"
	}
	c.page.render(w, r, http.StatusOK, v, "")
	return http.StatusOK, nil
}

// pageSubmission reads a link's query or a form. The link in a mail has no
// client_secret; one that is there must be right.
func pageSubmission(values url.Values) verification.Submission {
	sub := verification.Submission{SID: values.Get("sid")}
	sub.Token, _ = verification.NormalizeToken(values.Get("token"))
	if secret := values.Get("client_secret"); secret != "" {
		sub.ClientSecret = &secret
	}
	return sub
}

// failedPage tells a person what went wrong, in a 4xx page.
func (c *Client) failedPage(w http.ResponseWriter, r *http.Request, err error) (int, error) {
	verdict := asMatrixError(submitError(err))
	v := view{State: "error"}
	switch {
	case errors.Is(err, verification.ErrExpired), errors.Is(err, verification.ErrRevoked):
		v.State = "expired"
	case verdict.Status == http.StatusBadRequest:
		v.State = "invalid"
	}
	c.page.render(w, r, verdict.Status, v, "")
	if verdict.Status >= 500 {
		return 0, &rendered{verdict}
	}
	return verdict.Status, nil
}
