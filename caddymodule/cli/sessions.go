// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

func newSessionsCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "sessions <command>", Short: "Lists and ends requests to verify an address",
		Long: `A session is one request to verify an address: from the mail or the message to what
it was asked for. Addresses are shown as the pseudonyms that logs of today have.

` + exitCodes,
	}, []func() *cobra.Command{newListSessionsCommand, newRevokeSessionsCommand, newResendCommand})
}

func newListSessionsCommand() *cobra.Command {
	cmd := newCommand("list [--address <address> | --sid <sid> | --pseudonym <pseudonym>]", "Lists sessions, the newest first",
		`Lists the sessions of an address, of a pseudonym from the log of today or yesterday, or
all, at most 1000. Exits with 1 if there are none.`, runListSessions)
	cmd.Flags().String("sid", "", "The id of the session")
	cmd.Flags().String("pseudonym", "", "The name of an address in the log of today or yesterday")
	return jsonFlag(remoteFlags(personFlags(cmd)))
}

// sessionsNamed reads which sessions are meant.
func sessionsNamed(flags caddycmd.Flags) (req admin.SessionRequest, err error) {
	req = admin.SessionRequest{SID: threepid.SID(flags.String("sid"))}
	if flags.Lookup("pseudonym") != nil {
		req.Pseudonym = flags.String("pseudonym")
	}
	if flags.Lookup("address") != nil && flags.Changed("address") {
		person, err := personOf(flags)
		if err != nil {
			return req, err
		}
		req.Medium, req.Address = person.Medium, person.Address
	}
	return req, nil
}

func runListSessions(out io.Writer, flags caddycmd.Flags) (int, error) {
	req, err := sessionsNamed(flags)
	if err != nil {
		return exitFailed, err
	}
	// A flag that is there and empty, as from a script's variable, names nobody.
	req.All = req == (admin.SessionRequest{}) && !flags.Changed("sid") && !flags.Changed("pseudonym")
	if !req.One() {
		return exitUsage, wrongUse("name one of --address, --sid and --pseudonym")
	}
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	var found admin.Sessions
	if err := server.call(http.MethodPost, admin.Base+"sessions/find", req, &found); err != nil {
		return exitFailed, err
	}
	code := exitDone
	if len(found.Sessions) == 0 {
		code = exitRemark
	}
	if flags.Bool("json") {
		return code, printJSON(out, found)
	}
	return code, printSessions(out, found)
}

func printSessions(out io.Writer, s admin.Sessions) error {
	if len(s.Sessions) == 0 {
		_, err := fmt.Fprintln(out, "There is no such session.")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ASKED\tFOR\tADDRESS\tSTATE\tMESSAGE\tUNTIL\tSID")
	for _, i := range s.Sessions {
		asked := "not known"
		if i.Asked != nil {
			asked = clock(*i.Asked)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s, %s\t%s\t%s\t%s\t%s\t%s\n",
			asked, i.Purpose, i.Medium, i.Pseudonym, i.State, cmp.Or(i.Delivery, "not known"), i.Until.Local().Format(time.DateTime), i.SID)
	}
	if s.More {
		_, _ = fmt.Fprintln(w, "There are older ones.")
	}
	return w.Flush()
}

func newRevokeSessionsCommand() *cobra.Command {
	cmd := newCommand("revoke --sid <sid> | --address <address>", "Ends sessions",
		`Ends one session, or all open ones of an address: their links and codes prove nothing
any more, and messages that wait are not sent. A session that was used is over, and
cannot be taken back. Exits with 1 if an address has no open session.`, runRevokeSessions)
	cmd.Flags().String("sid", "", "The id of the session")
	return jsonFlag(remoteFlags(personFlags(cmd)))
}

func runRevokeSessions(out io.Writer, flags caddycmd.Flags) (int, error) {
	req, err := sessionsNamed(flags)
	if err != nil {
		return exitFailed, err
	}
	if !req.One() {
		return exitUsage, wrongUse("name either --sid or --address")
	}
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	var ended admin.Revoked
	if err := server.call(http.MethodPost, admin.Base+"sessions/revoke", req, &ended); err != nil {
		return exitFailed, err
	}
	code := exitDone
	if ended.Revoked == 0 {
		code = exitRemark
	}
	if flags.Bool("json") {
		return code, printJSON(out, ended)
	}
	_, err = fmt.Fprintf(out, "Sessions that were ended: %d\n", ended.Revoked)
	return code, err
}

func newResendCommand() *cobra.Command {
	cmd := newCommand("resend --sid <sid>", "Sends another message for a session",
		`Sends another message for a session that is open. It counts against the limits like a
request of its client.`, runResend)
	cmd.Flags().String("sid", "", "The id of the session")
	return jsonFlag(remoteFlags(cmd))
}

func runResend(out io.Writer, flags caddycmd.Flags) (int, error) {
	req := admin.SessionRequest{SID: threepid.SID(flags.String("sid"))}
	if !req.One() {
		return exitUsage, wrongUse("name the session with --sid")
	}
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	var sent admin.Done
	if err := server.call(http.MethodPost, admin.Base+"sessions/resend", req, &sent); err != nil {
		return exitFailed, err
	}
	if flags.Bool("json") {
		return exitDone, printJSON(out, sent)
	}
	_, err = fmt.Fprintln(out, "Another message is on its way.")
	return exitDone, err
}
