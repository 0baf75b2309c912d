// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
)

func newDoctorCommand() *cobra.Command {
	cmd := newCommand("doctor", "Says what is wrong, and what to do",
		`Looks at the server that is running, from inside and from outside: its relays and
its sender's domain, whether public_url leads to it, whether the homeserver trusts
it, its certificate, clock, store and key file. It sends no mail and changes nothing.

Exits with 0 if nothing is worse than a remark, 1 if there are warnings, and 2 if
something does not work.`, runDoctor)
	return jsonFlag(remoteFlags(cmd))
}

func runDoctor(out io.Writer, flags caddycmd.Flags) (int, error) {
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	var report doctor.Report
	if err := server.call(http.MethodPost, admin.Base+"doctor", admin.Nothing{}, &report); err != nil {
		return exitFailed, err
	}
	if flags.Bool("json") {
		return report.ExitCode(), printJSON(out, report)
	}
	report.Text(out)
	return report.ExitCode(), nil
}

func newSendTestCommand() *cobra.Command {
	cmd := newCommand("send-test --to <address>", "Sends a mail or a text, and says what the relay or the gateway says",
		`Sends one mail to an address, or one text to a phone number that begins with "+",
past the queue, through the relays or gateways of the server that is running. It
carries no link and no code. A text is counted against the budgets. Exits with 0 if
it was taken.`, runSendTest)
	cmd.Flags().String("to", "", "The address, or a phone number like +447400123456")
	return jsonFlag(remoteFlags(cmd))
}

func runSendTest(out io.Writer, flags caddycmd.Flags) (int, error) {
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	if flags.String("to") == "" {
		return exitUsage, wrongUse("name the address or the number with --to")
	}
	var result admin.TestResult
	if err := server.call(http.MethodPost, admin.Base+"send-test", admin.TestRequest{To: flags.String("to")}, &result); err != nil {
		return exitFailed, err
	}
	code := 0
	if !result.Sent {
		code = exitFailed
	}
	if flags.Bool("json") {
		return code, printJSON(out, result)
	}
	if result.Sent && result.Folder != "" {
		_, err = fmt.Fprintf(out, "It was written into %s, and not sent: so is everything else, until the configuration names a relay or a gateway.\n", result.Folder)
		return code, err
	}
	if result.Sent {
		_, err = fmt.Fprintln(out, "It was taken. If a mail does not arrive, look into the spam folder, and run `caddy threepid doctor`.")
		return code, err
	}
	what := "It was not sent"
	if result.Uncertain {
		what = "It may have been sent, or not"
	}
	_, err = fmt.Fprintf(out, "%s: %s\n", what, result.Problem)
	if result.Said != "" {
		_, err = fmt.Fprintf(out, "The relay said: %s\n", result.Said)
	}
	for _, r := range result.Relays {
		if r.State == guest.LeftOut {
			_, err = fmt.Fprintf(out, "%s is %s. Its last error: %s%s\n", r.Name, word(r), r.LastError, said(r.LastReply))
		}
	}
	return code, err
}

func newStatusCommand() *cobra.Command {
	cmd := newCommand("status", "Shows the queue and the relays",
		`Shows how deliveries are doing: the queue, and each relay and gateway with its last
error; and what is wrong with how the sites are put together. Exits with 1 if a relay
or a gateway is out of order, or something is wrong.`, runStatus)
	return jsonFlag(remoteFlags(cmd))
}

func runStatus(out io.Writer, flags caddycmd.Flags) (int, error) {
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	var status admin.Status
	if err := server.call(http.MethodGet, admin.Base+"status", nil, &status); err != nil {
		return exitFailed, err
	}
	code := 0
	if len(status.Wiring) > 0 || outOfOrder(status.Relays) || (status.Phones != nil && outOfOrder(status.Phones.Senders)) {
		code = 1
	}
	if flags.Bool("json") {
		return code, printJSON(out, status)
	}
	return code, printStatus(out, status)
}

func printStatus(out io.Writer, s admin.Status) error {
	total := 0
	for _, n := range s.Queue.Waiting {
		total += n
	}
	_, _ = fmt.Fprintf(out, "%d of at most %d messages wait, %d of them for another try; %d are being sent.", total, s.Queue.MaxQueued, s.Queue.Deferred, s.Queue.InFlight)
	if s.Queue.Oldest > 0 {
		_, _ = fmt.Fprintf(out, " The oldest is %s old.", s.Queue.Oldest.Round(time.Second))
	}
	_, _ = fmt.Fprintln(out)
	for _, e := range s.Queue.Errors {
		_, _ = fmt.Fprintf(out, "  %s  %s, %d times: %s\n", e.At.Local().Format(time.DateTime), e.Outcome, e.Count, e.Text)
	}
	if s.GateClosed {
		_, _ = fmt.Fprintln(out, gateWords, "Who has used it up: `caddy threepid limits`.")
	}
	for _, f := range s.Wiring {
		_, _ = fmt.Fprintf(out, "  %s  %s\n", f.Code, f.Problem)
	}
	if len(s.Wiring) > 0 {
		_, _ = fmt.Fprintln(out, "What to do about it: `caddy threepid doctor`.")
	}
	if err := printRelays(out, "RELAY", s.Relays); err != nil || s.Phones == nil {
		return err
	}
	_, _ = fmt.Fprintln(out)
	return printPhones(out, *s.Phones)
}

// printRelays prints a table of relays or gateways.
func printRelays(out io.Writer, title string, relays []admin.RelayState) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, title+"\tSTATE\tSENT\tREFUSED\tFAILED\tIN FLIGHT\tLAST ERROR")
	for _, r := range relays {
		last := "none"
		if r.LastError != "" {
			last = r.LastError
		}
		if r.LastErrorAt != nil {
			last += said(r.LastReply) + " (" + r.LastErrorAt.Local().Format(time.DateTime) + ")"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%s\n", r.Name, word(r), r.Sent, r.Refused, r.Failed, r.InFlight, last)
	}
	return w.Flush()
}

// said is what a relay said, to be read after its fault.
func said(reply string) string {
	if reply == "" {
		return ""
	}
	return ", it said: " + reply
}

// word is how a relay is.
func word(r admin.RelayState) string {
	switch {
	case r.Failing && r.State == "closed":
		return "failing"
	case r.State == guest.LeftOut && r.RetryAt != nil:
		return relayStates[r.State] + " until " + r.RetryAt.Local().Format(time.TimeOnly)
	}
	return relayStates[r.State]
}

// relayStates are what the states of a relay mean.
var relayStates = map[string]string{"closed": "in order", "open": "left alone", "half-open": "being tried"}
