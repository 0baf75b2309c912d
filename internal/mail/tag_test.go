// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"errors"
	"net/mail"
	"strings"
	"testing"
)

func TestComposeTagsForMailServices(t *testing.T) {
	m := sample()
	m.Tag = "0abc9"
	raw, err := Compose(m)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := mail.ReadMessage(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"X-Pm-Metadata-Threepid-Tag": "0abc9", "X-Smtpapi": `{"unique_args":{"threepid-tag":"0abc9"}}`} {
		if got := parsed.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, tag := range []string{"A", "a b", "a\r\nBcc: x@y.org", `a"`, strings.Repeat("a", 65)} {
		m.Tag = tag
		if _, err := Compose(m); !errors.Is(err, ErrInvalidTag) {
			t.Errorf("%q: got %v, want ErrInvalidTag", tag, err)
		}
	}
}
