// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
)

// PhoneStatus is what is spent on messages to phones, and what is paused.
type PhoneStatus struct {
	Currency string        `json:"currency,omitempty"`
	Senders  []RelayState  `json:"senders"`
	Budgets  []BudgetState `json:"budgets"`
	Paused   []PauseState  `json:"paused"`
	// Conversion is how many of the codes that were sent came back, by prefix.
	Conversion []ConversionState `json:"conversion"`
}

// BudgetState is how far a budget is used up, in messages or in money.
type BudgetState struct {
	Of    string `json:"of"`
	Unit  string `json:"unit"`
	Per   string `json:"per"`
	Used  string `json:"used"`
	Limit string `json:"limit"`
}

// PauseState is a prefix that nothing is sent to.
type PauseState struct {
	Prefix  string    `json:"prefix"`
	Country string    `json:"country"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
}

// ConversionState is how many codes were sent to a prefix, and came back.
type ConversionState struct {
	Prefix   string `json:"prefix"`
	Country  string `json:"country"`
	Sent     int64  `json:"sent"`
	Verified int64  `json:"verified"`
}

func adminPhones(ctx context.Context, app *App) (any, error) {
	inst, release, err := app.Serving()
	if err != nil {
		return nil, err
	}
	defer release()
	if !inst.Phones() {
		return nil, refused(instance.ErrNoSMS)
	}
	return phoneStatus(ctx, inst)
}

func phoneStatus(ctx context.Context, inst *instance.Instance) (*PhoneStatus, error) {
	spent, err := inst.Spent(ctx)
	if err != nil {
		return nil, err
	}
	out := &PhoneStatus{
		Currency: inst.Currency(), Senders: statesOf(inst.Gateways()),
		Budgets: []BudgetState{}, Paused: []PauseState{}, Conversion: []ConversionState{},
	}
	for _, b := range spent.Budgets {
		out.Budgets = append(out.Budgets, BudgetState{
			Of: b.Of, Unit: instance.UnitWord(b.Unit), Per: instance.WindowWord(b.Per), Used: amountOf(b.Unit, b.Used), Limit: amountOf(b.Unit, b.Limit),
		})
	}
	for _, p := range spent.Paused {
		out.Paused = append(out.Paused, PauseState{p.Prefix, p.Region, p.Since, p.Until})
	}
	for _, r := range spent.Prefixes {
		out.Conversion = append(out.Conversion, ConversionState{r.Prefix, r.Region, r.Sent, r.Verified})
	}
	return out, nil
}

func amountOf(unit smsfraud.Unit, n int64) string {
	if unit == smsfraud.Amount {
		return smsfraud.Money(n).String()
	}
	return fmt.Sprint(n)
}

// resumeRequest says whose pause is lifted: a prefix like "+4479001", or empty
// for all.
type resumeRequest struct {
	Prefix string `json:"prefix"`
	All    bool   `json:"all,omitempty"`
}

// Resumed says whether there was a pause to be lifted.
type Resumed struct {
	Resumed bool `json:"resumed"`
}

func adminResume(ctx context.Context, app *App, req resumeRequest) (any, error) {
	if (req.Prefix == "") != req.All {
		return nil, refused(errors.New("name either a prefix or all"))
	}
	inst, release, err := app.Serving()
	if err != nil {
		return nil, err
	}
	defer release()
	lifted, err := inst.Resume(ctx, input.NumberOrWord(req.Prefix))
	if errors.Is(err, instance.ErrNoSMS) {
		return nil, refused(err)
	}
	return Resumed{lifted}, err
}

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
	var status PhoneStatus
	if err := server.call(http.MethodGet, adminBase+"sms", nil, &status); err != nil {
		return exitFailed, err
	}
	code := 0
	if len(status.Paused) > 0 || outOfOrder(status.Senders) {
		code = 1
	}
	if flags.Bool("json") {
		return code, printJSON(out, status)
	}
	return code, status.print(out)
}

func outOfOrder(relays []RelayState) bool {
	for _, r := range relays {
		if r.State != "closed" || r.Failing {
			return true
		}
	}
	return false
}

func (s PhoneStatus) print(out io.Writer) error {
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
	var result Resumed
	body := resumeRequest{Prefix: flags.String("prefix"), All: flags.Bool("all")}
	if (body.Prefix == "") != body.All {
		return exitUsage, wrongUse("name either --prefix or --all")
	}
	if err := server.call(http.MethodPost, adminBase+"sms/resume", body, &result); err != nil {
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
