// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/admin"
)

func newLimitsCommand() *cobra.Command {
	cmd := newCommand("limits", "Shows who is limited, and what may still be sent",
		`Shows how many messages each class may be sent now, and which networks were refused
within the last hour, by which limit, since when and until when. Addresses stand there as
the pseudonyms that logs of today have. Exits with 1 if nothing is left for a class.`, runLimits)
	return jsonFlag(remoteFlags(cmd))
}

func runLimits(out io.Writer, flags caddycmd.Flags) (int, error) {
	server, err := newRemote(flags)
	if err != nil {
		return exitFailed, err
	}
	var s admin.LimitsState
	if err := server.call(http.MethodGet, admin.Base+"limits", nil, &s); err != nil {
		return exitFailed, err
	}
	code := exitDone
	for _, b := range s.Budgets {
		if b.Until != nil {
			code = 1
		}
	}
	if flags.Bool("json") {
		return code, printJSON(out, s)
	}
	return code, printLimits(out, s)
}

// gateWords say that the gate is closed.
const gateWords = "Nothing is left for newcomers: registrations have to complete the stages before the mail first."

func printLimits(out io.Writer, s admin.LimitsState) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "MEDIUM\tCLASS\tLEFT\tMOST\tMORE AT")
	for _, b := range s.Budgets {
		again := ""
		if b.Until != nil {
			again = clock(*b.Until)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", b.Medium, b.Class, b.Left, b.Most, again)
	}
	if len(s.Limited) > 0 {
		_, _ = fmt.Fprintln(w, "\nNETWORK\tADDRESS\tLIMIT\tCLASS\tREFUSED\tSINCE\tUNTIL")
	}
	for _, l := range s.Limited {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", cmp.Or(l.Network, "unknown"), l.Pseudonym, l.Limit, l.Class, l.Count, clock(l.Since), clock(l.Until))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(s.Limited) == 0 {
		_, _ = fmt.Fprintln(out, "\nNobody was refused within the last hour.")
	}
	if s.GateClosed {
		_, _ = fmt.Fprintln(out, "\n"+gateWords)
	}
	return nil
}
