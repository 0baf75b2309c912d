// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// broken is a set-up with one fault, and all that the doctor should say of it.
type broken struct {
	name  string
	spoil func(*rig)
	want  []string // "check code", without those that are ok
}

// TestDeliberatelyBrokenSetUps spoils one thing of a healthy set-up at a time.
// The doctor must name it and nothing else, and over all faults it must use
// every code of its table.
func TestDeliberatelyBrokenSetUps(t *testing.T) {
	table := codeTable(t)
	produced := map[string]bool{}
	faults := slices.Concat(relayFaults, dnsFaults, wayFaults, trustFaults, identityFaults, machineFaults, listFaults, wiringFaults)
	ran := 0
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			ran++
			r := newRig(t)
			fault.spoil(r)
			report := Run(t.Context(), r.options())
			var got []string
			for _, f := range report.Findings {
				checkFinding(t, table, f)
				produced[f.Code] = true
				if f.Code != codeOK {
					got = append(got, f.Check+" "+f.Code)
				}
			}
			if !slices.Equal(got, fault.want) {
				t.Errorf("got %q, want %q", got, fault.want)
				report.Text(os.Stderr)
			}
		})
	}
	if ran < len(faults) || t.Failed() {
		return // only a part was asked for
	}
	if ran < 20 {
		t.Errorf("got %d set-ups, want 20", ran)
	}
	got, want := slices.Sorted(maps.Keys(produced)), slices.Sorted(maps.Keys(table))
	if !slices.Equal(got, want) {
		missing := slices.DeleteFunc(want, func(c string) bool { return produced[c] })
		t.Errorf("codes of the table that no set-up has produced: %q", missing)
	}
}

// checkFinding holds a finding to the table in the package comment, and to what
// every finding must have.
func checkFinding(t *testing.T, table map[string]row, f Finding) {
	t.Helper()
	row, ok := table[f.Code]
	switch {
	case !ok:
		t.Errorf("the code %q is not in the table", f.Code)
	case row.severity != f.Severity:
		t.Errorf("%s: got severity %q, want %q", f.Code, f.Severity, row.severity)
	case !row.of(f.Check):
		t.Errorf("%s: comes from the check %q, which is not in the table", f.Code, f.Check)
	}
	if f.Problem == "" || !strings.HasSuffix(f.Problem, ".") {
		t.Errorf("%s: the problem %q is no sentence", f.Code, f.Problem)
	}
	if f.Severity.rank() >= Warning.rank() && f.Advice == "" {
		t.Errorf("%s %s: there is no advice", f.Check, f.Code)
	}
	for _, text := range []string{f.Subject, f.Problem, f.Advice} {
		if strings.ContainsAny(text, "@\x1b\r") || strings.Contains(text, "%!") || strings.Contains(text, "{subject}") ||
			strings.Contains(text, "{identity_name}") || strings.Contains(text, "doctor\"") {
			t.Errorf("%s: got text %q", f.Code, text)
		}
	}
}

// row is a line of the table.
type row struct {
	severity Severity
	checks   []string
}

func (r row) of(check string) bool {
	return slices.ContainsFunc(r.checks, func(pattern string) bool {
		switch pattern {
		case "any":
			return true
		case "net":
			return row{checks: []string{"relay", "public_url", "homeserver.*", "identity.certificate"}}.of(check)
		}
		prefix, wild := strings.CutSuffix(pattern, "*")
		return pattern == check || wild && strings.HasPrefix(check, prefix)
	})
}

// codeTable reads the table in the package comment.
func codeTable(t *testing.T) map[string]row {
	t.Helper()
	raw, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]row{}
	for line := range strings.Lines(string(raw)) {
		cells, isRow := strings.CutPrefix(line, "//\t")
		if !isRow {
			continue
		}
		c := strings.Split(cells, "|")
		if len(c) != 4 {
			t.Fatalf("the line %q has %d cells, want 4", line, len(c))
		}
		code := strings.TrimSpace(c[0])
		if code == "code" {
			continue // the head
		}
		if _, twice := table[code]; twice {
			t.Errorf("the code %q is twice in the table", code)
		}
		table[code] = row{Severity(strings.TrimSpace(c[1])), strings.Fields(c[2])}
	}
	if len(table) < 30 {
		t.Fatalf("got %d codes, want 30", len(table))
	}
	return table
}

// TestCodeTable: the table, the severities and the advice know the same codes.
func TestCodeTable(t *testing.T) {
	table := codeTable(t)
	for code, row := range table {
		if got := severityOf(code); got != row.severity {
			t.Errorf("%s: got %q, the table says %q", code, got, row.severity)
		}
		for _, check := range checkOrder {
			f := Finding{Check: check, Code: code, Severity: row.severity}
			if row.of(check) && f.Severity.rank() >= Warning.rank() && (&session{}).advice(f) == "" {
				t.Errorf("%s %s: there is no advice", check, code)
			}
		}
	}
	for _, codes := range []map[string]string{infoAdvice, codeAdvice} {
		for code := range codes {
			if _, ok := table[code]; !ok {
				t.Errorf("there is advice for %q, which is not in the table", code)
			}
		}
	}
	for key := range connectionAdvice {
		check, code, _ := strings.Cut(key, " ")
		if row, ok := table[code]; !ok || !row.of(check) {
			t.Errorf("there is advice for %q, which is not in the table", key)
		}
	}
	for code := range notErrors {
		if _, ok := table[code]; !ok {
			t.Errorf("there is a severity for %q, which is not in the table", code)
		}
	}
}
