// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"net/url"
	"strings"
	"time"
)

// oldMessage is how long a message waits on a good day, and then some: most
// sessions end after an hour.
const oldMessage = 5 * time.Minute

// config is what can be seen without asking anybody.
func (s *session) config(_ context.Context, r *results) {
	if s.opts.Config.NoMailer {
		r.report(codeMailNotSent, "No mailer is configured: mail is written into a folder and never sent.")
	}
	if s.opts.Config.NoChecks {
		r.report(codeChecksOff, "Nobody is asked whether an address may have a token, as no kind of homeserver is named.")
	}
	name := s.opts.IdentityName
	if u, err := url.Parse("https://" + name); name != "" && err == nil && u.Port() == "" {
		r.report(codeIdentityNoPort, "The identity name %s has no port, and Dendrite then looks for it as for a server of the federation.", name)
	}
}

// templates repeats what loading them has found.
func (s *session) templates(ctx context.Context, r *results) {
	for _, p := range s.opts.Templates(ctx) {
		code, text := codeTemplateDoubtful, "The template may not say what it should: "
		if p.Fatal {
			code, text = codeTemplateBroken, "A template cannot be used: "
		}
		r.say(p.File, code, text+strings.TrimRight(clean(p.Problem), ".")+".")
	}
}

// outbox looks at the queue, and at what has become of the last messages.
func (s *session) outbox(ctx context.Context, r *results) {
	status, err := s.opts.Outbox(ctx)
	if err != nil {
		r.report(codeOutboxUnknown, "The state of the queue cannot be found out: %s.", strings.TrimRight(err.Error(), "."))
		return
	}
	if status.Oldest > oldMessage {
		r.report(codeOutboxOld, "The oldest of the waiting messages (%d) has been waiting for %s.", status.Depth, status.Oldest.Round(time.Second))
	}
	switch {
	case status.Max <= 0:
	case status.Depth >= status.Max:
		r.report(codeOutboxFull, "The queue is full (%d of %d), so nobody can ask for a token.", status.Depth, status.Max)
	case status.Depth*5 > status.Max*4:
		r.report(codeOutboxNearlyFull, "The queue is nearly full (%d of %d).", status.Depth, status.Max)
	}
	for _, relay := range status.Relays {
		last := strings.TrimRight(clean(relay.LastError), ".")
		switch {
		case relay.Stopped:
			r.say(relay.Name, codeRelayStopped, "The relay failed so often that it is left alone for a while"+after(last)+".")
		case last != "":
			r.say(relay.Name, codeRelayFailing, "The last message to this relay was not delivered"+after(last)+".")
		}
	}
}

func after(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
