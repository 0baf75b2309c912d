// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"fmt"
	"strings"
)

// mistaken are codes that people write for countries, and that are none, with
// what to write.
var mistaken = map[string]string{
	"UK": "the United Kingdom is GB",
	"EN": "that is the language English; the United Kingdom is GB",
	"EL": "Greece is GR",
	"EU": "name the countries of the European Union one by one",
	"AP": "name the countries one by one",
	"JA": "that is the language Japanese; Japan is JP",
	"KO": "that is the language Korean; South Korea is KR",
	"CS": "that is the language Czech; Czechia is CZ",
	"DA": "that is the language Danish; Denmark is DK",
	"SU": "Russia is RU",
	"YU": "Serbia is RS",
}

// CheckCountry refuses what is not the ISO 3166-1 alpha-2 code of a country whose
// numbers are known, in either case. "001" stands for the numbers that belong to
// no country.
func CheckCountry(code string) error {
	upper := strings.ToUpper(code)
	switch {
	case KnownRegion(upper) || code == "001":
		return nil
	case mistaken[upper] != "":
		return fmt.Errorf("%s is not an ISO 3166-1 code; %s", code, mistaken[upper])
	case code != "" && strings.Trim(code, "0123456789") == "":
		return fmt.Errorf("%s is no country; the beginning of numbers is written with a plus, like +%s", code, code)
	}
	return fmt.Errorf("%s is not the ISO 3166-1 code of a country, like FR", code)
}
