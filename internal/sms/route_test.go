// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"fmt"
	"strings"
	"testing"
)

func gatewaysNamed(names ...string) map[string]Gateway {
	all := map[string]Gateway{}
	for _, name := range names {
		all[name] = &scripted{}
	}
	return all
}

func TestRoutesAreFound(t *testing.T) {
	r := newRouter(t, RouterConfig{Gateways: gatewaysNamed("a", "b", "c", "d", "e"), Routes: []Route{
		{Match: []string{"GB", " fr "}, Gateways: []string{"a", "b"}},
		{Match: []string{"+44", "+447700"}, Gateways: []string{"b"}},
		{Match: []string{"+4477009"}, Gateways: []string{"c", "a"}},
		{Match: []string{"001", "+882", "+7"}, Gateways: []string{"d"}},
		{Gateways: []string{"e"}},
	}})
	for _, tt := range []struct{ region, to, want string }{
		{"GB", "447700900123", "c,a"},
		{"GB", "447700100123", "b"},
		{"GB", "447800900123", "b"},
		{"XX", "4477009", "c,a"},
		{"XX", "447700", "b"},
		{"FR", "33612345678", "a,b"},
		{"fr", "33612345678", "a,b"},
		{"DE", "4915112345678", "e"},
		{"", "4", "e"},
		{"", "", "e"},
		{"001", "87812345", "d"},
		{"GB", "88212345", "d"},
		{"RU", "7", "d"},
	} {
		var got []string
		for _, one := range r.table.find(tt.region, tt.to) {
			got = append(got, one.Name)
		}
		if strings.Join(got, ",") != tt.want {
			t.Errorf("%s %s: got %v, want %s", tt.region, tt.to, got, tt.want)
		}
	}
}

func TestRoutersThatAreRefused(t *testing.T) {
	route := func(match, gateways string) Route {
		var r Route
		if match != "" {
			r.Match = strings.Split(match, ",")
		}
		if gateways != "" {
			r.Gateways = strings.Split(gateways, ",")
		}
		return r
	}
	with := func(routes ...Route) RouterConfig { return RouterConfig{Routes: routes} }
	from := func(gateway, region string, list ...string) RouterConfig {
		return RouterConfig{Originators: Originators{gateway: {region: list}}}
	}
	for name, cfg := range map[string]RouterConfig{
		"no gateway":        with(route("FR", "")),
		"unknown gateway":   with(route("FR", "a,nobody")),
		"gateway twice":     with(route("FR", "a,a")),
		"two defaults":      with(route("", "a"), route("", "b")),
		"region twice":      with(route("FR", "a"), route("fr", "b")),
		"prefix twice":      with(route("+44,+44", "a")),
		"no region":         with(route("FRA", "a")),
		"prefix, no plus":   with(route("4479", "a")),
		"prefix zero":       with(route("+0", "a")),
		"prefix too long":   with(route("+1234567890123456", "a")),
		"prefix letters":    with(route("+44x", "a")),
		"empty match":       with(route("FR,", "a")),
		"breaker":           {Breaker: breakerConfig(-1)},
		"originator of x":   from("nobody", AnyRegion, "A"),
		"originator region": from(AnyGateway, "fr", "A"),
		"no originator":     from(AnyGateway, "FR"),
		"empty originator":  from(AnyGateway, "FR", ""),
		"long originator":   from("a", "FR", "12345678901234567"),
		"originator CR":     from("a", "FR", "a\rb"),
		"originator é":      from("a", "FR", "é"),
	} {
		cfg.Gateways = gatewaysNamed("a", "b")
		if _, err := NewRouter(cfg); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	for _, gateways := range []map[string]Gateway{{"": &scripted{}}, {"a": nil}, {AnyGateway: &scripted{}}} {
		if _, err := NewRouter(RouterConfig{Gateways: gateways}); err == nil {
			t.Errorf("%v: got no error", gateways)
		}
	}
}

func TestOriginatorsAreChosen(t *testing.T) {
	o := Originators{
		AnyGateway: {AnyRegion: {"Example"}, "US": {"+15550001", "+15550002", "+15550003"}},
		"a":        {"US": {"12345"}, AnyRegion: {"OwnName"}},
		"b":        {"GB": {"+44790"}},
	}
	for _, tt := range []struct{ gateway, region, want string }{
		{"a", "US", "12345"}, {"a", "FR", "OwnName"}, {"b", "GB", "+44790"}, {"b", "gb", "+44790"}, {"b", "FR", "Example"}, {"c", "", "Example"},
	} {
		if got := o.choose(tt.gateway, tt.region, number); got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.gateway, tt.region, got, tt.want)
		}
	}
	if got := (Originators{}).choose("a", "FR", number); got != "" {
		t.Errorf("got %q of none", got)
	}
	// One number sees one sender; many numbers see all of them.
	seen := map[string]int{}
	for i := range 300 {
		to := fmt.Sprintf("1555%07d", i)
		first := o.choose("c", "US", to)
		if again := o.choose("c", "US", to); again != first {
			t.Fatalf("%s: got %s, then %s", to, first, again)
		}
		seen[first]++
	}
	for _, one := range o[AnyGateway]["US"] {
		if seen[one] < 50 {
			t.Errorf("%s: chosen for %d of 300 numbers", one, seen[one])
		}
	}
}
