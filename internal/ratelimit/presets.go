// SPDX-License-Identifier: Apache-2.0

package ratelimit

import "time"

// Preset is a set of limits that fit each other.
type Preset struct {
	// Messages is what is sent in all, of each medium, and Domain what is sent to
	// strangers at one registered domain.
	Messages, Domain Limit
	// Client is for an IPv4 address and a /64 of IPv6, Network for a /24, a /56 and a /48.
	Client, Network Limit
	// User is for one access token and one account, UIA for one session of
	// User-Interactive Authentication, and Guesses for wrong tokens of a client.
	User, UIA, Guesses Limit
	Mailboxes          Mailboxes
}

// Rates are all but those of mailboxes, by the names of their options. What is added to
// a preset is added here.
func (p *Preset) Rates() map[string]*Limit {
	return map[string]*Limit{
		"messages": &p.Messages, "client": &p.Client, "network": &p.Network, "domain": &p.Domain,
		"user": &p.User, "uia": &p.UIA, "guesses": &p.Guesses,
	}
}

// Longest is how long something that is counted matters.
func (p *Preset) Longest() time.Duration {
	longest := Day // of mailboxes
	for _, rate := range p.Rates() {
		longest = max(longest, rate.Per)
	}
	return longest
}

func hourly(n int) Limit { return Limit{Burst: n, Per: time.Hour} }

// The names of presets, by how many people have an account.
const (
	Small     = "small"     // a family or a club, up to a hundred
	Community = "community" // some thousands
	Public    = "public"    // anybody
)

// PresetNames are all of them, the default in the middle.
var PresetNames = []string{Small, Community, Public}

// Presets are the limits by the names. What concerns one person is the same in all.
var Presets = map[string]Preset{
	Small:     preset(100, 60, 20, 30),
	Community: preset(500, 200, 60, 80),
	Public:    preset(3000, 1000, 120, 200),
}

func preset(messages, domain, client, network int) Preset {
	return Preset{
		Messages: hourly(messages), Domain: hourly(domain), Client: hourly(client), Network: hourly(network),
		User: hourly(20), UIA: hourly(10), Guesses: hourly(30),
		Mailboxes: Mailboxes{
			Pauses:  []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute},
			Network: 5, Strangers: 5, Spare: time.Hour,
		},
	}
}
