// SPDX-License-Identifier: Apache-2.0

package doctor

import "time"

// Severity is how much a finding matters.
type Severity string

// The severities, from the mildest to the worst.
const (
	// OK is what a check says that found nothing to say.
	OK Severity = "ok"
	// Info is worth knowing and asks for nothing.
	Info Severity = "info"
	// Warning works for now, or for some.
	Warning Severity = "warning"
	// Error keeps something from working.
	Error Severity = "error"
)

// rank orders severities; one that is unknown is the worst, so that it cannot
// hide.
func (s Severity) rank() int {
	switch s {
	case OK:
		return 0
	case Info:
		return 1
	case Warning:
		return 2
	case Error:
	}
	return 3
}

// The checks, a closed set.
const (
	checkConfig    = "config"
	checkWiring    = "wiring"
	checkRelay     = "relay"
	checkMX        = "dns.mx"
	checkSPF       = "dns.spf"
	checkDKIM      = "dns.dkim"
	checkDMARC     = "dns.dmarc"
	checkPublicURL = "public_url"
	checkVersions  = "homeserver.versions"
	checkTrust     = "homeserver.trust"
	checkIdentity  = "identity.certificate"
	checkClock     = "clock"
	checkStore     = "store"
	checkDisk      = "disk"
	checkKeyFile   = "key_file"
	checkOutbox    = "outbox"
	checkTemplates = "templates"
	checkList      = "disposable"
	checkAdmin     = "admin"
)

// checkOrder is the order of a report: first what mail needs, then what clients
// need, then the machine.
var checkOrder = []string{
	checkConfig, checkWiring, checkRelay, checkMX, checkSPF, checkDKIM, checkDMARC, checkTemplates, checkOutbox,
	checkPublicURL, checkVersions, checkTrust, checkIdentity, checkClock, checkStore, checkDisk, checkKeyFile, checkList, checkAdmin,
}

// Finding is one thing that a check has to say.
type Finding struct {
	// Check is the check that found it, see the package comment.
	Check string `json:"check"`
	// Subject is what was looked at: a relay's name, a host, a file. Never an
	// address or a secret.
	Subject string `json:"subject,omitempty"`
	// Severity belongs to the code.
	Severity Severity `json:"severity"`
	// Code is for scripts; the package comment lists all of them.
	Code string `json:"code"`
	// Problem says what is wrong, in one plain sentence.
	Problem string `json:"problem"`
	// Advice says what to do. After its first line there may be lines to copy
	// into a configuration. Every warning and every error has one.
	Advice string `json:"advice,omitempty"`
}

// Report is what all checks together found, in the order of the checks.
type Report struct {
	Findings []Finding `json:"findings"`
	// Took is in nanoseconds in JSON, as durations are in Caddy's.
	Took time.Duration `json:"took"`
}

// Worst is the severity of the worst finding; a report without any is OK.
func (r Report) Worst() Severity {
	worst := OK
	for _, f := range r.Findings {
		if f.Severity.rank() > worst.rank() {
			worst = f.Severity
		}
	}
	return worst
}

// ExitCode is what a command should end with: 0 if nothing is worse than info,
// 1 if there are warnings, 2 if there are errors.
func (r Report) ExitCode() int {
	return max(r.Worst().rank()-1, 0)
}
