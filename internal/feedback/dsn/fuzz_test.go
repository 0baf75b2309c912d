// SPDX-License-Identifier: Apache-2.0

package dsn

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

func FuzzDSN(f *testing.F) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file.Name(), ".eml") {
			raw := sample(f, file.Name())
			f.Add([]byte(raw))
			f.Add([]byte(crlf(raw)))
		}
	}
	f.Add([]byte(nested(3, "\nAction: failed\nStatus: 5.1.1\n")))
	f.Add([]byte("Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822; a+2B@b.c\nStatus: 4.0.0\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		reports, err := Parse(raw, tag, now)
		if err != nil && (!errors.Is(err, ErrNotReport) && !errors.Is(err, ErrTooLarge) || reports != nil) {
			t.Fatalf("%+v, %v", reports, err)
		}
		if len(reports) > maxRecipients {
			t.Errorf("%d reports", len(reports))
		}
		for _, r := range reports {
			checkReport(t, r)
		}
	})
}

// checkReport holds for every report, whatever it was made of.
func checkReport(t *testing.T, r feedback.Report) {
	t.Helper()
	if r.Kind.String() == "none" || r.VERPTag != tag || r.ID == "" || r.At.IsZero() || r.At.After(now) {
		t.Errorf("%+v", r)
	}
	if r.Address != "" {
		if canonical, err := address.Email(r.Address); err != nil || canonical != r.Address {
			t.Errorf("address %q is not canonical: %q, %v", r.Address, canonical, err)
		}
	}
	if r.Code != "" && feedback.ParseCode(r.Code) != r.Code {
		t.Errorf("code %q", r.Code)
	}
	if r.MessageID != "" && feedback.CleanMessageID(r.MessageID) != r.MessageID {
		t.Errorf("Message-ID %q", r.MessageID)
	}
	if r.Permanent && (r.Kind != feedback.Bounce || !strings.HasPrefix(r.Code, "5.")) {
		t.Errorf("permanent without a reason: %+v", r)
	}
}
