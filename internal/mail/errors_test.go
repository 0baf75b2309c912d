// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-smtp"
)

func TestFailureSaysWhoseFaultItIs(t *testing.T) {
	reply := func(code int) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: "<victim@x.test> no"}
	}
	tests := []struct {
		stage               string
		err                 error
		temporary, operator bool
		text                string
	}{
		{"rcpt", reply(550), false, false, "delivery failed at rcpt with reply 550 5.1.1"},
		{"data", reply(554), false, false, "delivery failed at data with reply 554 5.1.1"},
		{"rcpt", &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}}, true, true, "delivery failed at rcpt with reply 554 5.7.1"},
		{"data", &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}}, false, false, "delivery failed at data with reply 554 5.7.1"},
		{"rcpt", reply(450), true, false, "delivery failed at rcpt with reply 450 4.1.1"},
		{"mail", reply(421), true, false, "delivery failed at mail with reply 421 4.1.1"},
		{"mail", reply(550), true, true, "delivery failed at mail with reply 550 5.1.1"},
		{"rcpt", reply(530), true, true, "delivery failed at rcpt with reply 530 5.1.1"},
		{"auth", reply(535), true, true, "delivery failed at auth with reply 535 5.1.1"},
		{"auth", reply(454), true, false, "delivery failed at auth with reply 454 4.1.1"},
		{"hello", reply(554), true, true, "delivery failed at hello with reply 554 5.1.1"},
		{"data", reply(250), true, false, "delivery failed at data with reply 250"},
		{"mail", errNoSMTPUTF8, false, false, "delivery failed at mail: " + errNoSMTPUTF8.Error()},
		{"tls", errNoSTARTTLS, true, true, "delivery failed at tls: " + errNoSTARTTLS.Error()},
		{"auth", errNoAuth, true, true, "delivery failed at auth: " + errNoAuth.Error()},
		{"tls", io.EOF, true, false, "delivery failed at tls: connection lost"},
		{"auth", fmt.Errorf("read: %w", syscall.ECONNRESET), true, false, "delivery failed at auth: connection lost"},
		{"data", errors.New("victim@x.test"), true, false, "delivery failed at data: connection lost"},
		{"rcpt", textproto.ProtocolError("victim@x.test"), true, false, "delivery failed at rcpt: the relay does not speak SMTP"},
		{"hello", textproto.ProtocolError("HTTP/1.1 400"), true, true, "delivery failed at hello: the relay does not speak SMTP"},
		{"rcpt", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, true, false, "delivery failed at rcpt: timed out"},
		{"dial", &net.DNSError{Err: "no such host", Name: "h"}, true, false, "delivery failed at dial: lookup h: no such host"},
	}
	for _, test := range tests {
		got := failure(t.Context(), test.stage, test.err)
		if got.Temporary() != test.temporary || got.Operator() != test.operator || got.Error() != test.text {
			t.Errorf("%s, %v: got %q, temporary %t, operator %t, want %q, %t, %t",
				test.stage, test.err, got, got.Temporary(), got.Operator(), test.text, test.temporary, test.operator)
		}
		if got.Uncertain() {
			t.Errorf("%s, %v: uncertain before the mail was handed over", test.stage, test.err)
		}
		if chain := fmt.Sprintf("%v %+v", errors.Unwrap(got), errors.Unwrap(got)); strings.Contains(chain, "victim") {
			t.Errorf("%s, %v: the cause holds an address: %s", test.stage, test.err, chain)
		}
	}
}

func TestFailureKnowsTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := failure(ctx, "data", net.ErrClosed); !errors.Is(err, context.Canceled) || !err.Temporary() {
		t.Errorf("got %v, want %v, temporary", err, context.Canceled)
	}
	ctx, cancel = context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if err := failure(ctx, "tls", net.ErrClosed); !errors.Is(err, context.DeadlineExceeded) || err.Operator() {
		t.Errorf("got %v, want %v, nobody's fault", err, context.DeadlineExceeded)
	}
}

func TestReasonIsOneShortLine(t *testing.T) {
	got := clean("bad\r\nname \x1b[31m" + strings.Repeat("é", 300))
	if strings.ContainsAny(got, "\r\n\x1b") || len(got) > maxReason+len("…") || !utf8.ValidString(got) {
		t.Errorf("got %q", got)
	}
	if got, want := clean("as it is"), "as it is"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
