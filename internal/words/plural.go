// SPDX-License-Identifier: Apache-2.0

package words

import (
	"fmt"
	"strconv"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// maxCount is the largest number that is put into words: of minutes, a day has
// less, and of hours, two months.
const maxCount = 1500

var formNames = map[plural.Form]string{
	plural.Zero: "zero", plural.One: "one", plural.Two: "two",
	plural.Few: "few", plural.Many: "many", plural.Other: "other",
}

// formOf is the plural category of a whole number in a language (UTS #35).
func formOf(tag language.Tag, n int) string {
	return formNames[plural.Cardinal.MatchPlural(tag, n, 0, 0, 0, 0)]
}

// formsOf counts, for each plural form that a language has, the numbers it is
// used for: up to 2, which is one number or more.
func formsOf(tag language.Tag) map[string]int {
	used := map[string]int{}
	for n := 1; n <= maxCount; n++ {
		if form := formOf(tag, n); used[form] < 2 {
			used[form]++
		}
	}
	return used
}

// checkLife insists on the plural forms that the language has, and that a form
// for several numbers names them.
func (w *words) checkLife() []error {
	var errs []error
	used := formsOf(w.tag)
	for _, form := range forms {
		for _, unit := range units {
			key := "life " + unit + " " + form
			p, ok := w.phrases[key]
			switch numbers := used[form]; {
			case numbers == 0:
			case !ok || len(p) == 0:
				errs = append(errs, fmt.Errorf("%s: the text %q is missing: the language has this plural form", w.path, key))
			case numbers > 1 && p.names()&valueN == 0:
				errs = append(errs, fmt.Errorf("%s: the text %q must have {{.N}}: it is used for several numbers", w.places[key], key))
			}
		}
	}
	return errs
}

// life puts into words how long a token works.
func (w *words) life(d time.Duration) string {
	n, unit := max(1, int(d.Round(time.Minute)/time.Minute)), "minutes"
	if n%60 == 0 || n >= 24*60 {
		n, unit = n/60, "hours"
	}
	n = min(n, maxCount)
	return w.phrases["life "+unit+" "+formOf(w.tag, n)].plain(&values{n: strconv.Itoa(n)})
}

// until is the same instant for every reader: nobody knows their time zone, and
// this order of year, month and day cannot be taken for another (RFC 3339). Its
// spaces do not break, because an isolate must not go over two lines.
func until(t time.Time) string { return t.UTC().Format("2006-01-02\u00a015:04\u00a0UTC") }
