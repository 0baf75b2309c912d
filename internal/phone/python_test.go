// SPDX-License-Identifier: Apache-2.0

package phone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
)

// mutated is how many numbers are made from those of the table.
const mutated = 2000

// outcome is what check.py prints.
type outcome struct {
	Version     string   `json:"version"`
	Rows        int      `json:"rows"`
	Accepted    int      `json:"accepted"`
	Differences []string `json:"differences"`
}

// TestF19_NumbersAsSynapseReadsThem asks the library that Synapse reads phone
// numbers with, in the environment that Synapse itself is run in: whether the
// table says the truth, and whether it makes the same digits of every number
// that we accept, of the table and of thousands that chance made from it.
func TestF19_NumbersAsSynapseReadsThem(t *testing.T) {
	env := realEnv(t)
	rows := table(t)
	var lines bytes.Buffer
	accepted := map[string]int{}
	note := func(country, typed string) {
		number, err := phone.Parse(typed, country, phone.Policy{Possible: true})
		if err != nil {
			accepted["refused"]++
			return
		}
		accepted["possible"]++
		if number.Kind != phone.Unknown {
			accepted["valid"]++
		}
		fmt.Fprintf(&lines, "%s\t%s\t%s\n", quote(t, country), quote(t, typed), number.Digits)
	}
	for _, r := range rows {
		note(r.country, r.typed)
	}
	chance := rand.New(rand.NewPCG(1, 164)) // the same numbers in every run
	for range mutated {
		note(mutate(chance, rows))
	}
	t.Logf("of %d numbers: %v", len(rows)+mutated, accepted)
	for verdict, least := range map[string]int{"refused": mutated / 5, "possible": mutated / 5, "valid": mutated / 10} {
		if accepted[verdict] < least {
			t.Errorf("got %d numbers %s, want at least %d: the comparison proves too little", accepted[verdict], verdict, least)
		}
	}
	got := runCheck(t, env, tableFile, lines.Bytes())
	for _, difference := range got.Differences {
		t.Errorf("phonenumbers %s: %s", got.Version, difference)
	}
	if got.Rows != len(rows) || got.Accepted != accepted["possible"] || got.Version == "" {
		t.Errorf("got %+v, want %d rows and %d accepted numbers read", got, len(rows), accepted["possible"])
	}
}

// TestCheckFindsDifferences keeps the program honest that judges the rest.
func TestCheckFindsDifferences(t *testing.T) {
	env := realEnv(t)
	const lines = "\"GB\"\t\"07400 123456\"\t447400123457\n" +
		"\"GB\"\t\"07400 123456\"\t447400123456\n" +
		"\"GB\"\t\"none\"\t447400123456\n"
	if got := runCheck(t, env, os.DevNull, []byte(lines)); got.Accepted != 3 || len(got.Differences) != 2 {
		t.Errorf("got %+v, want two differences in three numbers", got)
	}
}

// runCheck hands a table and accepted numbers to check.py.
func runCheck(t *testing.T, env synapse.Env, table string, accepted []byte) outcome {
	t.Helper()
	file := filepath.Join(t.TempDir(), "accepted.tsv")
	if err := os.WriteFile(file, accepted, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := env.Output(t.Context(), "testdata/check.py", table, file)
	if err != nil {
		t.Fatalf("check.py: %v", err)
	}
	var got outcome
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("check.py printed %q: %v", out, err)
	}
	return got
}

// realEnv returns the environment of the real Synapse. A machine that cannot
// have it skips, and loudly, but on CI that is a failure: there the proof is owed.
func realEnv(t *testing.T) synapse.Env {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	env, err := synapse.Install(ctx, log.Printf)
	switch {
	case errors.Is(err, synapse.ErrUnavailable) && os.Getenv("CI") != "true":
		t.Skipf("NOT PROVED WITH SYNAPSE'S LIBRARY: %v", err)
	case err != nil:
		t.Fatalf("Install: %v", err)
	}
	return env
}

func quote(t *testing.T, text string) string {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted)
}

// mutate returns one number of the table after up to three mishaps, dialled
// from where it was or from elsewhere.
func mutate(chance *rand.Rand, rows []row) (country, typed string) {
	pick := func() row {
		for {
			if r := rows[chance.IntN(len(rows))]; r.verdict != "country" {
				return r
			}
		}
	}
	r := pick()
	country, typed = r.country, r.typed
	if chance.IntN(4) == 0 {
		country = pick().country
	}
	if chance.IntN(4) == 0 && len(r.want.Digits) > 1 {
		typed = "+" + r.want.Digits
	}
	number := []byte(typed)
	const signs = "0123456789"
	for range 1 + chance.IntN(3) {
		at := chance.IntN(len(number) + 1)
		digit := signs[chance.IntN(len(signs))]
		switch what := chance.IntN(7); {
		case what < 3 && at < len(number) && strings.IndexByte(signs, number[at]) >= 0:
			number[at] = digit
		case what == 3 && at < len(number):
			number = slices.Delete(number, at, at+1)
		case what == 4:
			number = slices.Insert(number, at, digit)
		case what == 5:
			number = slices.Insert(number, at, " -.()/"[chance.IntN(6)])
		case what == 6:
			prefixes := []string{"0", "00", "1", "011", "8", "+", "(0)", "15", "0" + r.want.Digits, "+" + r.want.Digits[:1]}
			number = append([]byte(prefixes[chance.IntN(len(prefixes))]), number...)
		}
	}
	return country, strings.ToValidUTF8(string(number), "?")
}
