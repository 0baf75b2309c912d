// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// The kinds of errands.
const (
	reset        = "reset"
	add          = "add"
	addPhone     = "add by phone"
	registration = "registration"
)

// errand is what an honest person came for: to have an address confirmed, and to use
// that.
type errand struct {
	*person
	kind string
	to   string // the address, or the digits of the number
	// ask asks for the message, and use uses that it was confirmed.
	ask func(attempt int) answer
	use func(sid string) answer

	begun time.Time
	tries int
	sids  map[string]bool // of the sessions that there are
	read  bool            // a message has come
	done  bool
	over  bool // it is done, or hopeless
}

const (
	// mostTries are one, and three more.
	mostTries = 4
	// overdue is when somebody who waits for a mail asks for another.
	overdue = 10 * time.Minute
)

// begin is the first try.
func (e *errand) begin() {
	e.begun, e.sids = time.Now(), map[string]bool{}
	e.errands = append(e.errands, e)
	e.site.post.readers[e.to] = e.arrived
	e.line.in(patience, e.end)
	e.try()
}

// end comes once, when it is done or hopeless.
func (e *errand) end() {
	if !e.over {
		e.over = true
		e.ended++
	}
}

// try asks once more, unless there is no need to, or no hope.
func (e *errand) try() {
	if e.read || e.tries == mostTries || time.Since(e.begun) > patience {
		return
	}
	e.tries++
	a := e.ask(e.tries)
	if a.status == http.StatusOK {
		sid := a.field("sid")
		e.sids[sid], e.own[sid] = true, true
		e.line.in(overdue, e.try)
		return
	}
	// Nobody is there at the very second.
	e.line.in(max(a.wait(), 30*time.Second)+within(e.rnd, 0, time.Minute), e.try)
}

// arrived is called for all that comes to the address.
func (e *errand) arrived(l letter) {
	pause := within(e.rnd, 10*time.Second, 90*time.Second)
	if l.sms {
		e.read = true
		e.line.in(pause, func() { e.typeIn(l.code()) })
		return
	}
	link, sid := l.link()
	if !e.sids[sid] || e.read {
		return
	}
	e.read = true
	e.line.in(pause, func() { e.open(link, sid) })
}

// typeIn types in the code of a short message.
func (e *errand) typeIn(code string) {
	for sid := range e.sids {
		r := jsonOf(e.from, "", map[string]any{"sid": sid, "client_secret": e.name, "token": code})
		r.target, r.agent = "/_threepid/validate/msisdn/submitToken", agent
		if a := e.site.send(r); a.status == http.StatusOK {
			e.finish(sid)
		}
	}
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)">`)

// open opens a link, and presses the button of its page.
func (e *errand) open(link, sid string) {
	path := strings.TrimPrefix(link, publicURL)
	page := e.site.send(request{from: e.from, method: http.MethodGet, target: path, agent: agent})
	form := url.Values{}
	for _, f := range hiddenField.FindAllStringSubmatch(page.body, -1) {
		form.Add(f[1], html.UnescapeString(f[2]))
	}
	path, _, _ = strings.Cut(path, "?")
	e.line.in(5*time.Second, func() {
		e.site.send(request{
			from: e.from, method: http.MethodPost, target: path, body: form.Encode(), kind: "application/x-www-form-urlencoded", agent: agent,
		})
		e.finish(sid)
	})
}

// finish uses what was confirmed.
func (e *errand) finish(sid string) {
	if !e.over && e.use(sid).status == http.StatusOK {
		e.done = true
		e.end()
	}
}
