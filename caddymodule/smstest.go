// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/url"

	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/sms/gsm7"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// sendTestSMS sends one text past the queue, and says what the gateway says. It
// is paid for like any other.
func (a *App) sendTestSMS(ctx context.Context, to string) (any, error) {
	rt, release, err := a.serving()
	if err != nil {
		return nil, err
	}
	defer release()
	if rt.phones == nil {
		return nil, refused(errNoSMS)
	}
	number, err := phone.Parse(to, "GB", a.settings.sms.policy) // it begins with "+": the country does not matter
	if err != nil {
		return nil, refused(errors.New("'to' is not a phone number that messages may go to"))
	}
	m := sms.Message{ID: "test", To: number.Digits, Text: "Test of " + hostOf(a.settings.http.PublicURL) + ". There is nothing to do."}
	count := gsm7.Of(m.Text)
	m.Segments, m.Unicode = count.Segments, count.Unicode
	_, err = rt.phones.shield.Reserve(ctx, smsfraud.Request{Digits: number.Digits, Region: number.Region, Segments: m.Segments})
	if err != nil {
		return nil, refused(err)
	}
	result := TestResult{Sent: true}
	if _, _, err := rt.phones.router.Send(ctx, number.Region, m); err != nil {
		result = TestResult{Problem: err.Error()}
	}
	if folders := a.folders(verification.MSISDN); len(folders) == len(a.gateways) {
		result.Folder = folders[0]
	}
	result.Relays = statesOf(rt.phones.router.Status())
	return result, nil
}

// hostOf is the host of an origin.
func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return origin
	}
	return u.Host
}
