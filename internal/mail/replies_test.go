// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// heard is a connection on which all was said already.
type heard struct {
	net.Conn
	io.Reader
}

func (h heard) Read(p []byte) (int, error) { return h.Reader.Read(p) }

func (heard) Write(p []byte) (int, error) { return len(p), nil }

func (heard) Close() error { return nil }

func hears(said string) *replies { return newReplies(heard{Reader: strings.NewReader(said)}) }

// TestEveryLegalReplyIsUnderstood: textproto reads it to its end and no further,
// whatever its code, its texts and its line ends.
func TestEveryLegalReplyIsUnderstood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var said strings.Builder
		var codes []int
		for range rapid.IntRange(1, 4).Draw(t, "replies") {
			code := rapid.IntRange(2, 5).Draw(t, "class")*100 + rapid.IntRange(0, 99).Draw(t, "rest")
			texts := rapid.SliceOfN(rapid.StringMatching(`[^\r\n]{0,40}`), 1, 5).Draw(t, "texts")
			for i, text := range texts {
				separator := "-"
				if i == len(texts)-1 {
					separator = rapid.SampledFrom([]string{" ", "\t"}).Draw(t, "separator")
					if text == "" && rapid.Bool().Draw(t, "bare") {
						separator = ""
					}
				}
				said.WriteString(fmt.Sprint(code) + separator + text + rapid.SampledFrom([]string{"\r\n", "\n"}).Draw(t, "end"))
			}
			codes = append(codes, code)
		}
		r := hears(said.String())
		r.awaited = toLogin // whose replies are 2yz and 3yz
		text := textproto.NewConn(r)
		for _, want := range codes {
			got, _, err := text.ReadResponse(0)
			if err != nil || got/100 != want/100 {
				t.Fatalf("%q: got %d, %v, want %d", said.String(), got, err, want)
			}
		}
		if _, _, err := text.ReadResponse(0); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("got %v after the last reply", err)
		}
	})
}

// TestWhateverIsSaidHasAnEnd: nothing makes us panic, or keep more than a reply
// may have.
func TestWhateverIsSaidHasAnEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"250", "-", " ", "\r\n", "\n", "\r", "550", "2", "x", "\x15", "\x00", strings.Repeat("y", 5000)})).Draw(t, "parts")
		r := hears(strings.Join(parts, ""))
		r.awaited = rapid.SampledFrom([]await{toCommand, toConnect, toHello, toLogin, toData, toText, toStart, toQuit}).Draw(t, "awaited")
		for {
			reply, err := r.next()
			if err != nil {
				return
			}
			for line := range bytes.Lines(reply) {
				if len(line) > maxReplyLine+10 {
					t.Fatalf("got a line of %d bytes", len(line))
				}
			}
		}
	})
}

func TestExtensionsInEverySpelling(t *testing.T) {
	for _, said := range []string{
		"250-h\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n",
		"250-h\r\n250-smtputf8\r\n250-8bitmime\r\n250-AUTH=PLAIN login\r\n250\r\n",
		"250-h\n250-SmtpUtf8 \n250- 8bitMIME\n250-AUTH PLAIN\n250 auth=LOGIN\n",
		"250-h\r\n250-AUTH=LOGIN\r\n250-AUTH   PLAIN\r\n250-SMTPUTF8 x y\r\n250 8BITMIME\r\n",
	} {
		r := hears(said)
		r.awaited = toHello
		_, text, err := textproto.NewConn(r).ReadResponse(250)
		if err != nil {
			t.Fatal(err)
		}
		var keywords []string
		for line := range strings.SplitSeq(text, "\n") {
			keyword, parameters, _ := strings.Cut(line, " ")
			if keywords = append(keywords, keyword); keyword == "AUTH" && (!strings.Contains(parameters, "PLAIN") || !strings.Contains(parameters, "LOGIN")) {
				t.Errorf("%q: got AUTH %s", said, parameters)
			}
		}
		for _, want := range []string{"SMTPUTF8", "8BITMIME", "AUTH"} {
			if !slices.Contains(keywords, want) {
				t.Errorf("%q: got %v, want %s", said, keywords, want)
			}
		}
	}
}

// The dialogue before TLS is read in the same way, and no more leniently where
// somebody may have written into it.
func TestSTARTTLSInEverySpelling(t *testing.T) {
	for name, test := range map[string]struct {
		greeting string
		replies  []string
		want     error
	}{
		"bare codes":                {"220\r\n", []string{"250-h\r\n250-starttls\r\n250\r\n", "220\r\n"}, nil},
		"small letters":             {"220-a\r\n220-b\r\n220 c\r\n", []string{"250-h\r\n250 StartTLS\r\n", "220 go\r\n"}, nil},
		"a parameter, another 2yz":  {"250 h\n", []string{"250-h\n250 STARTTLS REQUIRED\n", "250 go\n"}, nil},
		"only in the name":          {"220 h\r\n", []string{"250-STARTTLS\r\n250 SIZE\r\n"}, errNoSTARTTLS},
		"no extensions":             {"220 h\r\n", []string{"250 STARTTLS\r\n"}, errNoSTARTTLS},
		"written ahead":             {"220 h\r\n", []string{"250-h\r\n250 STARTTLS\r\n", "220\r\n220\r\n"}, errInjected},
		"written ahead, no reply":   {"220 h\r\n", []string{"250-h\r\n250 STARTTLS\r\n", "220 go\r\nxyz"}, errInjected},
		"TLS from the first byte":   {"\x15\x03\x01\x00\x02\x02\x0a", nil, errSpeaksTLS},
		"another protocol entirely": {"SSH-2.0-x\r\n", nil, errNotSMTP},
	} {
		t.Run(name, func(t *testing.T) {
			transport, err := NewSMTP(SMTPConfig{Address: scripted(t, test.greeting, append(test.replies, "\x15\x03\x01\x00\x02\x02\x28")...)})
			if err != nil {
				t.Fatal(err)
			}
			got := mustFail(t, transport)
			if test.want != nil && !errors.Is(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if test.want == nil && (got.Stage != "tls" || got.Code != 0 || errors.Is(got, errNoSTARTTLS)) { // the double has no certificate
				t.Errorf("got %v, want the handshake to be what fails", got)
			}
		})
	}
}

// A relay that has EHLO, but says no to it in a way that the library does not
// know, is still one.
func TestHELOAfterA504(t *testing.T) {
	double, err := smtptest.StartDouble(smtptest.Script{Says: map[string]string{"EHLO": "504\r\n"}})
	if err != nil {
		t.Fatal(err)
	}
	defer double.Close()
	transport, err := NewSMTP(SMTPConfig{Address: double.Addr(), TLS: NoTLS})
	if err != nil {
		t.Fatal(err)
	}
	defer transport.Close()
	mustSend(t, transport)
	if got := len(double.Taken()); got != 1 {
		t.Errorf("got %d mails, want one", got)
	}
}
