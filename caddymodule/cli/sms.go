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
)

func newSMSCommand() *cobra.Command {
	cmd := newCommand("sms", "Shows what is spent on messages to phones, and what is paused",
		`Shows the senders, how far each budget is used up, which prefixes are paused, and
how many of the codes that were sent came back. Exits with 1 if a sender is out of
order or a prefix is paused.`, runSMS)
	return jsonFlag(remoteFlags(cmd))
}

func runSMS(out io.Writer, flags caddycmd.Flags) (int, error) {
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	var status admin.PhoneStatus
	if err := server.call(http.MethodGet, admin.Base+"sms", nil, &status); err != nil {
		return exitFailed, err
	}
	code := 0
	if len(status.Paused) > 0 || outOfOrder(status.Senders) {
		code = 1
	}
	if flags.Bool("json") {
		return code, printJSON(out, status)
	}
	return code, printPhones(out, status)
}

func outOfOrder(relays []admin.RelayState) bool {
	for _, r := range relays {
		if r.State != "closed" || r.Failing {
			return true
		}
	}
	return false
}

func printPhones(out io.Writer, s admin.PhoneStatus) error {
	if err := printRelays(out, "SENDER", s.Senders); err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\nBUDGET\tPER\tUSED\tLIMIT")
	for _, b := range s.Budgets {
		_, _ = fmt.Fprintf(w, "%s, %s\t%s\t%s\t%s\n", b.Of, b.Unit, b.Per, b.Used, b.Limit)
	}
	_, _ = fmt.Fprintln(w, "\nPREFIX\tCOUNTRY\tSENT\tCAME BACK")
	for _, c := range s.Conversion {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\n", c.Prefix, c.Country, c.Sent, c.Verified)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range s.Paused {
		_, err := fmt.Fprintf(out, "\nNothing is sent to %s (%s) from %s to %s: its codes do not come back.\nTo lift that: caddy threepid sms-resume --prefix %s\n",
			p.Prefix, p.Country, p.Since.Local().Format(time.DateTime), p.Until.Local().Format(time.DateTime), p.Prefix)
		if err != nil {
			return err
		}
	}
	return nil
}

func newResumeCommand() *cobra.Command {
	cmd := newCommand("sms-resume --prefix <+prefix> | --all", "Lifts the pause of a prefix",
		`Messages to a prefix are paused when too few of the codes sent there come back. This
lifts the pause; counting starts anew. Exits with 1 if there was none.`, runResume)
	cmd.Flags().String("prefix", "", "The prefix, as caddy threepid sms shows it")
	cmd.Flags().Bool("all", false, "All that are paused")
	return jsonFlag(remoteFlags(cmd))
}

func runResume(out io.Writer, flags caddycmd.Flags) (int, error) {
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	var result admin.Resumed
	body := admin.ResumeRequest{Prefix: flags.String("prefix"), All: flags.Bool("all")}
	if (body.Prefix == "") != body.All {
		return exitUsage, wrongUse("name either --prefix or --all")
	}
	if err := server.call(http.MethodPost, admin.Base+"sms/resume", body, &result); err != nil {
		return exitFailed, err
	}
	code, text := 0, "The pause is lifted."
	if !result.Resumed {
		code, text = 1, "There is no such pause."
	}
	if flags.Bool("json") {
		return code, printJSON(out, result)
	}
	_, err = fmt.Fprintln(out, text)
	return code, err
}
