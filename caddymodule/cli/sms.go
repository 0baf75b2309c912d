// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
)

func newSMSCommand() *cobra.Command {
	cmd := newCommand("sms", "Shows what is spent on messages to phones, and what is paused",
		`Shows the senders, how far each budget is used up, which prefixes and
networks are paused, and how many of the codes that were sent came back. Networks
have pseudonyms. Exits with 1 if a sender is out of order or a prefix is paused.`, runSMS)
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
	if slices.ContainsFunc(status.Paused, ofPrefix) || outOfOrder(status.Senders) {
		code = 1
	}
	if flags.Bool("json") {
		return code, printJSON(out, status)
	}
	return code, printPhones(out, status)
}

// ofPrefix tells the pause of a prefix, which honest people may miss, from that of a
// network, which is its own fault.
func ofPrefix(p admin.PauseState) bool { return p.Prefix != "" }

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
		what, option := fmt.Sprintf("to %s (%s)", p.Prefix, p.Country), "prefix "+p.Prefix
		if p.Network != "" {
			what, option = "for the clients of "+p.Network, "network "+p.Network
		}
		_, err := fmt.Fprintf(out, "\nNothing is sent %s from %s to %s: its codes do not come back.\nTo lift that: caddy threepid sms-resume --%s\n",
			what, p.Since.Local().Format(time.DateTime), p.Until.Local().Format(time.DateTime), option)
		if err != nil {
			return err
		}
	}
	return nil
}

func newResumeCommand() *cobra.Command {
	cmd := newCommand("sms-resume --prefix <+prefix> | --network <name> | --all", "Lifts the pause of a prefix or a network",
		`Messages to a prefix are paused when too few of the codes sent there come back, and
those that are asked for from a network when too few of its codes do. This lifts the
pause; counting starts anew. Exits with 1 if there was none.`, runResume)
	cmd.Flags().String("prefix", "", "The prefix, as caddy threepid sms shows it")
	cmd.Flags().String("network", "", "The network, as caddy threepid sms shows it")
	cmd.Flags().Bool("all", false, "All that are paused")
	return jsonFlag(remoteFlags(cmd))
}

func runResume(out io.Writer, flags caddycmd.Flags) (int, error) {
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	var result admin.Resumed
	body := admin.ResumeRequest{Prefix: flags.String("prefix"), Network: flags.String("network"), All: flags.Bool("all")}
	if _, ok := body.What(); !ok {
		return exitUsage, wrongUse("name one of --prefix, --network and --all")
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
