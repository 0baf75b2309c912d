# SPDX-License-Identifier: Apache-2.0
"""Holds numbers.tsv, and what Go made of other numbers, to PyPI's phonenumbers.

usage: check.py numbers.tsv accepted.tsv

accepted.tsv has a country, what was typed (both as JSON strings) and the
digits that Go made of it in each line. Synapse does with a number what
as_synapse does (synapse/util/msisdn.py). The outcome is printed as JSON.
"""

import json
import sys

import phonenumbers as p
from phonenumbers import shortnumberinfo as short

REFUSED = {"premium_rate", "shared_cost", "toll_free", "pager", "voicemail", "uan"}
KINDS = {
    p.PhoneNumberType.FIXED_LINE: "fixed_line",
    p.PhoneNumberType.MOBILE: "mobile",
    p.PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_or_mobile",
    p.PhoneNumberType.TOLL_FREE: "toll_free",
    p.PhoneNumberType.PREMIUM_RATE: "premium_rate",
    p.PhoneNumberType.SHARED_COST: "shared_cost",
    p.PhoneNumberType.VOIP: "voip",
    p.PhoneNumberType.PERSONAL_NUMBER: "personal",
    p.PhoneNumberType.PAGER: "pager",
    p.PhoneNumberType.UAN: "uan",
    p.PhoneNumberType.VOICEMAIL: "voicemail",
    p.PhoneNumberType.UNKNOWN: "unknown",
}


def parse(country, typed):
    try:
        return p.parse(typed, country.upper())
    except p.NumberParseException:
        return None


def as_synapse(number):
    return p.format_number(number, p.PhoneNumberFormat.E164)[1:] if number else "-"


def possible(number, country, typed):
    return (
        p.is_possible_number_with_reason(number) == p.ValidationResult.IS_POSSIBLE
        and not short.is_valid_short_number(number)
        and not short.is_emergency_number(typed, country.upper())
    )


def described(number):
    region = p.region_code_for_number(number) or p.region_code_for_country_code(number.country_code)
    international = p.format_number(number, p.PhoneNumberFormat.INTERNATIONAL)
    return [as_synapse(number), region, KINDS[p.number_type(number)], international]


def check_row(country, typed, verdict, want):
    """Returns what the library says otherwise than a row of the table, if it does."""
    known = country.isascii() and country.upper() in p.SUPPORTED_REGIONS
    if known != (verdict != "country"):
        return "country is known: %s" % known
    number = parse(country, typed)
    if verdict == "form" and as_synapse(number) != want[0]:
        return "digits are %s" % as_synapse(number)
    if verdict == "invalid" and number and (p.is_valid_number(number) or possible(number, country, typed)):
        return "is valid, or possible"
    if verdict not in ("ok", "possible", "kind"):
        return None
    if number is None:
        return "is no number"
    if described(number) != want:
        return "is %s" % described(number)
    if (want[2] in REFUSED) != (verdict == "kind"):
        return "is %s" % want[2]
    if p.is_valid_number(number) != (verdict != "possible"):
        return "is valid: %s" % p.is_valid_number(number)
    if not possible(number, country, typed):
        return "is not possible, or a short code"
    return None


def rows(name):
    with open(name, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if not line.startswith("#"):
                country, typed, *rest = line.rstrip("\n").split("\t")
                yield json.loads(country), json.loads(typed), rest


def main(table, accepted):
    outcome = {"version": p.__version__, "rows": 0, "accepted": 0, "differences": []}
    for country, typed, (verdict, *want) in rows(table):
        outcome["rows"] += 1
        wrong = check_row(country, typed, verdict, want)
        if wrong:
            outcome["differences"].append("%s %r, %s: %s" % (country, typed, verdict, wrong))
    for country, typed, (digits,) in rows(accepted):
        outcome["accepted"] += 1
        for spelling in (typed, "+" + digits):
            got = as_synapse(parse(country, spelling))
            if got != digits:
                outcome["differences"].append("%s %r: Go %s, Python %s" % (country, spelling, digits, got))
    print(json.dumps(outcome))


main(*sys.argv[1:])
