// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

func newFindCommand() *cobra.Command {
	cmd := newCommand("find --address <address>", "Says what became of a person's mails and messages",
		`Shows what was asked for with an email address or a phone number within the last day
or two: when, what for, what became of the message, what the relay or the gateway
said, and when it is tried again; whether the address gets no messages or is denied by
email_policy, and which limits make its next request wait. It changes nothing, and counts nothing.

How often a person's network or account has asked is not known by their address. A
request that was refused leaves nothing to be found: then a limit waits, or the log
of that time says why.

Exits with 1 if nothing is known of the address.`, runFind)
	return jsonFlag(remoteFlags(personFlags(cmd)))
}

func runFind(out io.Writer, flags caddycmd.Flags) (int, error) {
	server, person, err := aboutPerson(flags)
	if err != nil {
		return exitFailed, err
	}
	var found admin.FoundAddress
	if err := server.call(http.MethodPost, admin.Base+"addresses/find", person, &found); err != nil {
		return exitFailed, err
	}
	code := exitDone
	if nothingOf(found) {
		code = exitRemark
	}
	if flags.Bool("json") {
		return code, printJSON(out, found)
	}
	printFound(out, found, time.Now())
	return code, nil
}

// nothingOf reports that there is nothing to be told of the address.
func nothingOf(f admin.FoundAddress) bool {
	for _, l := range f.Limits {
		if l.Until != nil || l.Always {
			return false
		}
	}
	return len(f.Messages) == 0 && f.Suppressed == nil && f.Unwanted == nil && f.Denied == ""
}

func printFound(out io.Writer, f admin.FoundAddress, now time.Time) {
	_, _ = fmt.Fprintf(out, "Logs of today call this address %s.\n", f.Pseudonym)
	if len(f.Messages) == 0 {
		_, _ = fmt.Fprintln(out, "No request for it is known: none was made within the last day or two, or it was refused.")
	}
	if s := f.Suppressed; s != nil {
		_, _ = fmt.Fprintf(out, "It gets no messages until %s: %s. To lift that: caddy threepid suppressions remove\n", clock(s.Until), suppressionWords(s.Reason, s.Code))
	}
	if f.Unwanted != nil {
		_, _ = fmt.Fprintf(out, "Its owner has said \"I did not ask for this\": until %s it gets none that the same network asks for, or none at all, as they wished.\n", clock(*f.Unwanted))
	}
	if f.Denied != "" {
		_, _ = fmt.Fprintf(out, "email_policy (%s) refuses it where somebody registers or adds it.\n", f.Denied)
	}
	for _, l := range f.Limits {
		printLimit(out, l, now)
	}
	for _, m := range f.Messages {
		printMessage(out, m)
	}
	if f.More {
		_, _ = fmt.Fprintln(out, "There are older ones.")
	}
}

// clock is a time as people read it.
func clock(t time.Time) string { return t.Local().Format(time.DateTime) }

// span is a duration as the Caddyfile has it, "1h" and not "1h0m0s".
func span(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// suppressionWords say why an address gets no messages.
func suppressionWords(reason, code string) string {
	words := map[feedback.Reason]string{
		feedback.ReasonManual: "an operator said so", feedback.ReasonSoft: "too many messages in a row came back",
		feedback.ReasonBounce: "a message came back, as the address does not exist", feedback.ReasonComplaint: "its reader called a message spam",
	}[feedback.Reason(reason)]
	if words == "" {
		words = reason
	}
	if code != "" {
		words += " (" + code + ")"
	}
	return words
}

func printLimit(out io.Writer, l admin.LimitUse, now time.Time) {
	name := l.Limit
	if l.Purpose != "" {
		name += ", " + l.Purpose
	}
	used := ""
	if l.Of > 0 {
		used = fmt.Sprintf(": %d of %d in %s", l.Used, l.Of, span(time.Duration(l.Seconds)*time.Second))
	}
	switch {
	case l.Always:
		_, _ = fmt.Fprintf(out, "limit %s%s; it refuses every request.\n", name, used)
	case l.Until != nil:
		_, _ = fmt.Fprintf(out, "limit %s%s; the next request has to wait %s, until %s.\n",
			name, used, l.Until.Sub(now).Round(time.Second), clock(*l.Until))
	default:
		_, _ = fmt.Fprintf(out, "limit %s%s.\n", name, used)
	}
}

func printMessage(out io.Writer, m admin.FoundState) {
	at := m.Asked
	if at == nil {
		at = &m.Until
	}
	_, _ = fmt.Fprintf(out, "\n%s  %s: %s", clock(*at), m.Purpose, became(m))
	if m.Purpose != string(verification.Notified) { // which proves nothing
		_, _ = fmt.Fprintf(out, "; the request is %s until %s; messages: %d, tries: %d", m.State, clock(m.Until), m.Sends, m.Tries)
	}
	_, _ = fmt.Fprintf(out, " (sid %s)\n", m.SID)
	if m.Spelling {
		_, _ = fmt.Fprintln(out, "  It was for another spelling of the same mailbox.")
	}
	if m.Decoy {
		_, _ = fmt.Fprintln(out, "  The homeserver refused the request (the address is in use, or not known): the message says so, at most once a day.")
	}
	if m.Next != nil {
		_, _ = fmt.Fprintf(out, "  Tried %d times; the next try is at %s.\n", m.Deliveries, clock(*m.Next))
	}
	if m.Reply != "" {
		_, _ = fmt.Fprintf(out, "  Last not taken at %s: %s\n", clock(*m.ReplyAt), m.Reply)
	}
}

// deliveryWords are what the states of a message mean.
var deliveryWords = map[verification.DeliveryState]string{
	verification.Waiting: "the message waits to be sent", verification.Delivered: "the relay took the message",
	verification.Deferred: "the message is tried again", verification.Failed: "the message was not sent",
	verification.Bounced: "the message came back", verification.Complained: "its reader called the message spam",
	verification.Uncertain: "the message may have been sent", verification.Arrived: "the message has arrived", verification.Unnoted: "nothing is known of the message",
}

func became(m admin.FoundState) string {
	if m.Held {
		return "the message waits for the registration to go on"
	}
	state := verification.DeliveryState(m.Delivery)
	return cmp.Or(deliveryWords[state], "the message is "+m.Delivery)
}
