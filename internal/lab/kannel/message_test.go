// SPDX-License-Identifier: Apache-2.0

package kannel

import (
	"slices"
	"strings"
	"testing"
)

const printed = "2026-11-27 12:33:48 [9305] [0] DEBUG: Got message 1: <"

// collect feeds a collector with what the programs would write, in pieces that
// end anywhere.
func collect(t *testing.T, log, smsc string) ([]Message, error) {
	t.Helper()
	c := newCollector()
	for name, w := range map[string]*lineWriter{log: &c.log, smsc: &c.smsc} {
		for piece := range slices.Chunk([]byte(name), 7) {
			if n, err := w.Write(piece); n != len(piece) || err != nil {
				t.Fatalf("got %d, %v", n, err)
			}
		}
	}
	messages, _, err := c.snapshot()
	return messages, err
}

func TestMessagesAreCollected(t *testing.T) {
	gsm := Message{From: "A B", To: "+49", Text: "x", Parts: 1}
	for name, test := range map[string]struct {
		log, smsc string
		want      []Message
	}{
		"nothing":             {"", "", nil},
		"not yet sent":        {"", printed + "A B +49 text x>\n", nil},
		"not yet there":       {"Sent SMS|1|0|+49|A B\n", "", nil},
		"half of a line":      {"Sent SMS|1|0|+49|A B\n", printed + "A B +49 text x>", nil},
		"whole":               {"Sent SMS|1|0|+49|A B\n", printed + "A B +49 text x>\n", []Message{gsm}},
		"half of the lines":   {"Sent SMS|3|0|+49|A B\n", printed + "A B +49 text x>\n", nil},
		"half of the parts":   {"Sent SMS|3|0|+49|A B\n", printed + "A B +49 udh %01 data ab>\n", nil},
		"both parts":          {"Sent SMS|3|0|+49|A B\n", printed + "A B +49 udh %01 data ab>\n" + printed + "A B +49 udh %02 data +>\n", []Message{{From: "A B", To: "+49", Text: "ab ", Parts: 2}}},
		"data":                {"Sent SMS|1|1|+49|A B\n", printed + "A B +49 data %00>\n", []Message{{From: "A B", To: "+49", Text: "\x00", Parts: 1}}},
		"receipts, and noise": {"Receive DLR|1|-1|+49|A B\nSent SMS|1|0|+49|A B\n", "INFO: fakesmsc starting\n" + printed + "A B +49 text x>\n", []Message{gsm}},
	} {
		if got, err := collect(t, test.log, test.smsc); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, test.want)
		}
	}
}

func TestWhatIsNotAMessageIsSaid(t *testing.T) {
	for name, test := range map[string]struct{ log, smsc, want string }{
		"too long":        {"Sent SMS|1|0|+49|A\n", printed + "A +49 text xy>\n", "got 2 octets of a message, want 1"},
		"another's":       {"Sent SMS|1|0|+49|A\n", printed + "B +49 text x>\n", "another message than was sent"},
		"another's part":  {"Sent SMS|2|0|+49|A\n", printed + "A +49 udh %01 data x>\n" + printed + "B +49 text x>\n", "another message than was sent"},
		"half a letter":   {"Sent SMS|1|2|+49|A\n", printed + "A +49 ucs-2 x>\n", "half of a letter"},
		"not escaped":     {"Sent SMS|2|2|+49|A\n", printed + "A +49 ucs-2 %0>\n", "read a message"},
		"another format":  {"Sent SMS|1\n", "", "the access log"},
		"no length":       {"Sent SMS|x|0|+49|A\n", "", "invalid syntax"},
		"no coding":       {"Sent SMS|1|x|+49|A\n", "", "invalid syntax"},
		"and it stays so": {"Sent SMS|1\nSent SMS|1|0|+49|A\n", printed + "A +49 text x>\n", "the access log"},
	} {
		if got, err := collect(t, test.log, test.smsc); err == nil || !strings.Contains(err.Error(), test.want) || len(got) != 0 {
			t.Errorf("%s: got %+v, %v, want %q", name, got, err, test.want)
		}
	}
}
