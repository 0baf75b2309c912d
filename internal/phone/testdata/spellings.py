# SPDX-License-Identifier: Apache-2.0
"""Numbers of every region as people write them, and a judge of odd spellings.

usage: spellings.py examples
       spellings.py judge typed.tsv
       spellings.py digits

examples prints a list of the country, the digits and the spellings of each valid
number that the metadata has for an example. judge reads a country, what was typed
(both as JSON strings) and the digits that were meant in each line, and prints
those of which the library makes another valid number. digits prints the value of
every decimal digit there is.
"""

import json
import sys
import unicodedata

import phonenumbers as p

FORMS = (p.PhoneNumberFormat.NATIONAL, p.PhoneNumberFormat.INTERNATIONAL, p.PhoneNumberFormat.RFC3966)


def examples():
    for region in sorted(p.SUPPORTED_REGIONS):
        seen = set()
        for kind in p.PhoneNumberType.values():
            number = p.example_number_for_type(region, kind)
            if number is None or not p.is_valid_number(number):
                continue
            digits = p.format_number(number, p.PhoneNumberFormat.E164)[1:]
            if digits not in seen:
                seen.add(digits)
                yield [region, digits] + [p.format_number(number, form) for form in FORMS]


def judge(name):
    with open(name, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            country, typed, meant = line.rstrip("\n").split("\t")
            country, typed = json.loads(country), json.loads(typed)
            try:
                number = p.parse(typed, country)
            except p.NumberParseException:
                continue
            digits = p.format_number(number, p.PhoneNumberFormat.E164)[1:]
            if digits != meant and p.is_valid_number(number):
                yield "%s %a: %s, meant %s" % (country, typed, digits, meant)


def digits():
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) == "Nd":
            yield [code, unicodedata.decimal(chr(code))]


print(json.dumps(list({"examples": examples, "judge": judge, "digits": digits}[sys.argv[1]](*sys.argv[2:]))))
