// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// ErrArgs says that an option has not the arguments that it takes; ReadBlock
// says which those are.
var ErrArgs = errors.New("wrong arguments")

// usages are the arguments that options take, where those are not one value.
var usages = map[string]string{
	"homeserver": "[synapse|dendrite|generic] { … }", "path_prefixes": "<prefix...>", "id_server_policy": "ignore|trusted <host...>",
	"next_link": "<origin...>", "allow_identity_servers": "<host[:port]...>",
	"limit": "<kind> <count> <duration>|off", "limits": "{ … }", "pauses": "<duration...>",
	"messages": "<count> <duration>|off", "client": "<count> <duration>|off", "network": "<count> <duration>|off", "domain": "<count> <duration>|off",
	"user": "<count> <duration>|off", "uia": "<count> <duration>|off", "guesses": "<count> <duration>|off",
	"mailbox": "<count>|off", "strangers": "<count>|off", "brand": "<name> { … }", "host": "<host...>", "css": "<variable> <value> (a colour without #)",
	"email_policy": "{ … }", "allow": "<value...>", "deny": "<value...>",
	"feedback": "{ … }", "ses": "<topic-arn...>", "postmark": "<user> <password>",
	"store": "badger { … }", "mailer": "smtp|file { … } | off", "sms": "{ … }", "sender": "<name> http|file { … }",
	"dkim": "<domain> <selector> <key-file>", "relay": "<host:port> { … }", "client_certificate": "<certificate> <key>",
	"originator": "<country>|default <from...>", "price": "<country>|default <amount>", "conversion": "<ratio> <sample> [<pause>]|off",
	"refuse": "<kind...>", "per_client": "numbers|countries <n>|part <percent>|off", "resend_after": "<duration...>",
	"route":  "<country|+prefix...>|default to <sender...>",
	"budget": "<scope> messages|money <limit> per hour|day",
	"header": "<name> <value>", "form": "<field> <value>", "query": "<field> <value>", "option": "<name> <value>",
	"basic_auth": "<user> <password>", "unicode": "<word> <word-for-other>", "refusal": "<reason> <status...> { … }",
	"prefix": "<text...>", "message_id": "json <pointer>|header <name>", "arrived": "<word...>", "undelivered": "<word...>",
	"receipts": "json|parameter <pointer-or-name> { … }",
}

func usage(option string) string {
	if u, ok := usages[option]; ok {
		return option + " " + u
	}
	return option + " <value>"
}

// wrongArgs says what to write in the place of as many arguments. A variable that is
// not set leaves none; a value with blanks counts as several unless it is quoted.
func wrongArgs(option string, args int) string {
	_, several := usages[option]
	switch {
	case args == 0 && several:
		return "nothing follows it; write: " + usage(option)
	case args == 0:
		return "nothing follows it (a {$VARIABLE} that is not set is nothing); write: " + usage(option)
	case !several:
		return "takes one value, in quotes if there are blanks in it; write: " + option + ` "<value>"`
	}
	return "takes other arguments; write: " + usage(option)
}

// unknownOption says which option may have been meant.
func unknownOption(name string, opts Options) error {
	names := slices.Sorted(maps.Keys(opts))
	if near := nearest(name, names); near != "" {
		return fmt.Errorf("there is no option '%s' here; did you mean '%s'?", name, near)
	}
	if len(names) > 21 {
		return fmt.Errorf("there is no option '%s' here; README.md lists those that there are", name)
	}
	return fmt.Errorf("there is no option '%s' here; there are %s", name, strings.Join(names, ", "))
}

// ModulesIn lists the modules of a name space.
func ModulesIn(namespace string) string {
	modules := caddy.GetModules(strings.TrimSuffix(namespace, "."))
	names := make([]string, 0, len(modules))
	for _, m := range modules {
		names = append(names, m.ID.Name())
	}
	return "there are " + strings.Join(names, ", ")
}

// nearest is the name that a mistyped one is close to, if one is.
func nearest(typed string, names []string) string {
	best, least := "", len(typed)/3+1
	for _, name := range names {
		if d := distance(typed, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is that of Levenshtein.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
