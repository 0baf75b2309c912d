// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"strings"
	"time"
)

// State is which page is shown.
type State string

// The pages.
const (
	Confirm State = "confirm" // asks to press a button
	Code    State = "code"    // asks for the code of the message
	Wrong   State = "wrong"   // asks for it again
	Again   State = "again"   // asks for the code beside the link, for the press did not count
	Done    State = "done"
	Already State = "already"
	Expired State = "expired"
	Revoked State = "revoked"
	Invalid State = "invalid"
	Failed  State = "error"
	Busy    State = "busy"   // asks to wait
	Refuse  State = "refuse" // asks whether to end the request
	Insist  State = "insist" // asks for one more press of that, for the first did not count
	Refused State = "refused"
	Help    State = "help" // why no message has arrived
)

// States lists all of them.
var States = []State{Confirm, Code, Wrong, Again, Done, Already, Expired, Revoked, Invalid, Failed, Busy, Refuse, Insist, Refused, Help}

// Purposes are those of which a page speaks in different words, or none.
func Purposes(s State) []string {
	switch s {
	case Confirm, Code, Wrong, Again:
		return []string{"register", "password", "add"}
	default:
		return nil
	}
}

// Field is a hidden field of a form.
type Field struct{ Name, Value string }

// View is one page; only checked data, never a request.
type View struct {
	State State
	// Purpose is "register", "password" or "add", where it is known.
	Purpose string
	// Phone says that the message goes to a phone, and the address is a number.
	Phone bool
	// Address is shown to those who have proven that they know it.
	Address string
	// Asked says when and where the request was made. It is shown to the same,
	// behind the link of a mail.
	Asked Asked
	// Brand is a key of [Options.Looks]; others mean "".
	Brand string
	// Language is that of the session, for readers whose browser names none.
	Language string
	// Action and Fields are the form's, where the page has one.
	Action string
	Fields []Field
	// Retype tells the reader of a [Code] page that the press before did not
	// count.
	Retype bool
	// Everybody says that the reader of an [Insist] page has ticked the box of that
	// name, and need not do so again.
	Everybody bool
	// Help is the address of the help page, or empty.
	Help string
	// Next is where a reader who has confirmed goes on, or empty.
	Next string
	// Delivery is what became of the message, or empty: the key of
	// its words. Only of a message to a phone can be known that it has arrived; of a
	// mail, that its provider has it.
	Delivery string
	// Wait is how long to wait on a [Busy] page.
	Wait time.Duration
	// FormTarget is the origin, besides our own, to which the form may lead:
	// browsers apply form-action to redirects as well.
	FormTarget string
}

// Asked is when and where a request was made, in words or numbers, each of which
// may be empty.
type Asked struct {
	Made, App, Network string
	// Another says that another request like it is open.
	Another bool
}

// form is what the template makes a form of.
type form struct {
	Action              string
	Fields              []Field
	Code                bool
	Label, Hint, Button string
	// Everybody are the words beside a box of that name, and Ticked how it stands.
	Everybody string
	Ticked    bool
}

// content is a view in words.
type content struct {
	Title, Alert, Note string
	Texts, Tips        []string
	Address            string
	Facts              []string
	Form               *form
	Help, HelpText     string
	Next, NextText     string
}

// speaker looks words up and remembers the first failure.
type speaker struct {
	words Words
	phone bool
	err   error
}

func (s *speaker) say(key string) string {
	return s.name(key, "")
}

func (s *speaker) name(key, address string) string {
	if s.phone && phoneKeys[key] {
		key = phonePrefix + key
	}
	text, err := s.words.Text(key, address)
	if err != nil && s.err == nil {
		s.err = err
	}
	// Line breaks of a file of words do not count.
	return strings.Join(strings.Fields(text), " ")
}

// fill puts a view into words.
func fill(v View, w Words) (content, error) {
	s := &speaker{words: w, phone: v.Phone}
	c := content{Help: v.Help}
	if v.Address != "" {
		c.Address = s.name("address", v.Address)
	}
	if v.Phone {
		v.Asked = Asked{} // a phone has no link that leads here
	}
	c.Facts = v.Asked.facts(s)
	switch v.State {
	case Confirm:
		c.ask(s, v, s.say("confirm button"))
	case Code, Wrong:
		c.askCode(s, v)
		switch {
		case v.State == Wrong:
			c.Alert = s.say("code wrong")
		case v.Retype:
			c.Alert = s.say("code again")
		}
	case Again:
		c.askCode(s, v)
		c.Alert = s.say("code again")
	case Refuse:
		c.askRefusal(s, v)
	case Insist:
		c.askRefusal(s, v)
		c.Texts = append([]string{s.say("again what"), c.Title}, c.Texts...) // its words answer its title
		c.Title = s.say("again title")
	case Help:
		c.advise(s, v)
	case Busy:
		c.askToWait(s, v)
	default:
		c.Title, c.Texts = s.say(string(v.State)+" title"), []string{s.say(string(v.State) + " what")}
	}
	if v.Next != "" && (v.State == Done || v.State == Already) {
		c.Next, c.NextText = v.Next, s.say("next button")
	}
	if c.Help != "" {
		c.HelpText = s.say("help link")
	}
	return c, s.err
}

// askToWait fills the page that says when to try again. Words of the operator's that
// are from before there was one only say that something went wrong.
func (c *content) askToWait(s *speaker, v View) {
	c.Title, c.Texts = s.say("busy title"), []string{s.name("busy what", s.words.Lasting(v.Wait))}
	if c.Title == "" || c.Texts[0] == "" {
		c.Title, c.Texts = s.say("error title"), []string{s.say("error what")}
	}
}

// ask fills the page that says what confirming does.
func (c *content) ask(s *speaker, v View, button string) {
	c.Title = s.say("confirm " + v.purpose() + " title")
	c.Texts = []string{s.say("confirm " + v.purpose() + " what")}
	if v.Asked.Another {
		c.Texts = append(c.Texts, s.say("request other"))
	}
	c.Note = s.say("confirm ignore")
	c.Form = &form{Action: v.Action, Fields: v.Fields, Button: button}
}

// facts are what is known, for which there are words.
func (a Asked) facts(s *speaker) []string {
	var list []string
	for _, fact := range []struct{ key, value string }{
		{"request made", a.Made}, {"request app", a.App}, {"request network", a.Network},
	} {
		if fact.value == "" {
			continue
		}
		if text := s.name(fact.key, fact.value); text != "" {
			list = append(list, text)
		}
	}
	return list
}

// askCode fills the page that a code is typed into.
func (c *content) askCode(s *speaker, v View) {
	c.ask(s, v, s.say("confirm button"))
	c.Form.Code, c.Form.Label, c.Form.Hint = true, s.say("code label"), s.say("code hint")
}

// askRefusal fills the page that says what refusing does.
func (c *content) askRefusal(s *speaker, v View) {
	c.Title, c.Texts, c.Note = s.say("refuse title"), []string{s.say("refuse what")}, s.say("refuse keep")
	c.Form = &form{
		Action: v.Action, Fields: v.Fields, Button: s.say("refuse button"),
		Everybody: s.say("refuse everybody"), Ticked: v.Everybody,
	}
}

// advise fills the help page.
func (c *content) advise(s *speaker, v View) {
	c.Title, c.Help = s.say("help title"), ""
	delivery, first := v.Delivery, "spam"
	if v.Phone {
		first = "signal"
	} else if delivery == "arrived" {
		delivery = "sent"
	}
	if delivery != "" {
		c.Texts = []string{s.say("delivery " + delivery)}
	}
	for _, tip := range []string{first, "typo", "wait", "again", "admin"} {
		c.Tips = append(c.Tips, s.say("help "+tip))
	}
}

// purpose is a word in keys.
func (v View) purpose() string {
	switch v.Purpose {
	case "register", "password":
		return v.Purpose
	default:
		return "add"
	}
}
