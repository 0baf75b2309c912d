// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"crypto/tls"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

// skippedWay is what follows from a public URL that leads elsewhere.
func skippedWay(code string) []string {
	return []string{"public_url " + code, "homeserver.versions skipped", "homeserver.trust skipped"}
}

// unreached fails the test if anything but the probe is asked: what is not this
// module must not be sent a password reset.
func unreached(r *rig, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != ProbePath {
			r.t.Errorf("%s %s was sent to a stranger", req.Method, req.URL.Path)
		}
		h.ServeHTTP(w, req)
	})
}

// stranger lets somebody else answer at the public name.
func stranger(h http.Handler) func(*rig) {
	return func(r *rig) { r.public.handler = unreached(r, h) }
}

// publicURL changes the option.
func publicURL(to string) func(*rig) {
	return func(r *rig) { r.change = func(o *Options) { o.PublicURL = to } }
}

var wayFaults = []broken{
	{"public URL: not one", publicURL("matrix.example.org"), skippedWay("url_invalid")},
	{"public URL: garbage", publicURL("https://[::1:%zz"), skippedWay("url_invalid")},
	{"public URL: a slash at the end", publicURL("https://matrix.example.org/"), nil},
	{"public URL: unknown name", func(r *rig) { r.public.dial = noSuchName }, skippedWay("name_unknown")},
	{"public URL: nothing listens", func(r *rig) { r.public.dial = to(closedPort) }, skippedWay("connection_refused")},
	{"public URL: no route", func(r *rig) { r.public.dial = noRoute }, skippedWay("unreachable")},
	{"public URL: says nothing", func(r *rig) {
		r.public.dial = to(serveRaw(r.t, silence))
		r.change = shortly
	}, skippedWay("timeout")},
	{"public URL: hangs up", func(r *rig) { r.public.dial = to(serveRaw(r.t, slam)) }, skippedWay("connection_lost")},
	{"public URL: expired certificate", func(r *rig) { r.public.cert.to = -time.Minute }, skippedWay("cert_expired")},
	{"public URL: self-signed certificate", func(r *rig) { r.public.cert.selfSigned = true }, skippedWay("cert_self_signed")},
	{"public URL: certificate of another site", func(r *rig) {
		r.public.cert.names = []string{"www.example.org", "a.example.org", "b.example.org", "c.example.org", "d.example.org"}
	}, skippedWay("cert_wrong_name")},
	{"public URL: unknown authority", func(r *rig) {
		r.public.handler = r.module(fakehs.New(r.homeserver))
		r.public.dial = r.public.start(r.t, r.stranger)
	}, skippedWay("cert_unknown_authority")},
	{"public URL: TLS 1.1", func(r *rig) { r.public.maxTLS = tls.VersionTLS11 }, skippedWay("tls_failed")},
	{"public URL: plain HTTP on its port", func(r *rig) { r.public.plain = true }, skippedWay("tls_not_spoken")},
	{"public URL: http", func(r *rig) {
		r.public.plain = true
		publicURL("http://matrix.example.org")(r)
	}, []string{"public_url url_plain_http"}},
	{"public URL: localhost", func(r *rig) {
		r.public.cert.names = []string{"localhost"}
		publicURL("https://localhost")(r)
	}, []string{"public_url url_not_public"}},
	{"public URL: an address of the network", func(r *rig) {
		r.public.cert.names = []string{"10.1.2.3"}
		publicURL("https://10.1.2.3:8448")(r)
	}, []string{"public_url url_not_public"}},
	{"public URL: redirects", stranger(http.RedirectHandler("https://www.example.org/login?back=x", http.StatusFound)), skippedWay("redirected")},
	{"public URL: a proxy that does not reach us", stranger(html(502)), skippedWay("bad_gateway")},
	{"public URL: a web server", stranger(html(404)), skippedWay("not_this_module")},
	{"public URL: an application of one page", stranger(html(200)), skippedWay("not_this_module")},
	{"public URL: the homeserver, without threepid", func(r *rig) {
		r.public.handler = unreached(r, fakehs.New(r.homeserver))
	}, skippedWay("not_this_module")},
	{"public URL: other keys", stranger(jsonAnswer(200, `{"proof":"0123"}`)), skippedWay("other_instance")},
	{"public URL: a gigabyte of nothing", stranger(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		chunk := []byte(strings.Repeat(" ", 1<<20))
		for range 1 << 10 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})), skippedWay("not_this_module")},

	{"homeserver: another web server behind us", func(r *rig) { r.versions = html(200) }, []string{
		"homeserver.versions not_matrix", "homeserver.trust skipped",
	}},
	{"homeserver: no versions in the answer", func(r *rig) { r.versions = jsonAnswer(200, `[]`) }, []string{
		"homeserver.versions not_matrix", "homeserver.trust skipped",
	}},
	{"homeserver: is down", func(r *rig) { r.versions = html(502) }, []string{
		"homeserver.versions homeserver_down", "homeserver.trust skipped",
	}},
	{"homeserver: hangs", func(r *rig) {
		r.versions = http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
		r.change = shortly
	}, []string{"homeserver.versions timeout", "homeserver.trust skipped"}},
	{"homeserver: hangs up", func(r *rig) {
		r.versions = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	}, []string{"homeserver.versions connection_lost", "homeserver.trust skipped"}},
	{"homeserver: the flag is missing", func(r *rig) { r.versions = jsonAnswer(200, `{"versions":["r0.5.0"]}`) }, []string{
		"homeserver.versions feature_missing",
	}},
	{"homeserver: the flag is true", func(r *rig) {
		r.versions = jsonAnswer(200, `{"versions":["r0.5.0"],"unstable_features":{"m.require_identity_server":true}}`)
	}, []string{"homeserver.versions feature_missing"}},
}

// answering lets the homeserver answer the probe in a way of another.
func answering(status int, body string) func(*rig) {
	return func(r *rig) { r.password = jsonAnswer(status, body) }
}

var trustFaults = []broken{
	{"trust: the list is empty", func(r *rig) { r.homeserver.TrustedIDServers = nil }, []string{"homeserver.trust not_trusted"}},
	{"trust: the list has no port", func(r *rig) { r.homeserver.TrustedIDServers = []string{"localhost"} }, []string{"homeserver.trust not_trusted"}},
	{"trust: resets are local", func(r *rig) { r.homeserver.ResetMode = fakehs.ResetLocal }, []string{"homeserver.trust not_trusted"}},
	{"trust: resets are off", func(r *rig) { r.homeserver.ResetMode = fakehs.ResetOff }, []string{"homeserver.trust reset_disabled"}},
	{"trust: no SSL_CERT_FILE", func(r *rig) { r.hsTrusts = r.stranger }, []string{"homeserver.trust identity_unreachable"}},
	{"trust: a container where localhost is itself", func(r *rig) { r.hsDial = to(closedPort) }, []string{"homeserver.trust identity_unreachable"}},
	{"trust: another identity server", func(r *rig) {
		other := site{cert: good("localhost"), handler: jsonAnswer(404, `{"errcode":"M_NO_VALID_SESSION","error":"No valid session"}`)}
		r.hsDial = other.start(r.t, r.ca)
	}, []string{"homeserver.trust wrong_identity_server"}},
	{"trust: packets are swallowed", func(r *rig) {
		r.hsDial = to(serveRaw(r.t, silence))
		r.change = shortly
	}, []string{"homeserver.trust timeout"}},
	{"trust: a Synapse of today", func(r *rig) {
		r.versions = jsonAnswer(200, `{"versions":["r0.6.1","v1.11"],"unstable_features":{"m.require_identity_server":false}}`)
		r.password = jsonAnswer(401, `{"session":"x","flows":[{"stages":["m.login.email.identity"]}],"params":{},"errcode":"M_UNAUTHORIZED"}`)
	}, []string{"homeserver.trust homeserver_native"}},
	{"trust: Dendrite", answering(401, `{"errcode":"M_MISSING_TOKEN","error":"missing access token"}`), []string{"homeserver.trust reset_unsupported"}},
	{"trust: no such endpoint", answering(404, `{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}`), []string{"homeserver.trust reset_unsupported"}},
	{"trust: slow down", answering(429, `{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":2000}`), []string{"homeserver.trust rate_limited"}},
	{"trust: everybody may", answering(200, `{}`), []string{"homeserver.trust accepted_without_proof"}},
	{"trust: a stranger's refusal", answering(403, `{"errcode":"M_FORBIDDEN","error":"\u001b[2J nobody@example.org"}`), []string{"homeserver.trust unexpected_answer"}},
	{"trust: a web page", func(r *rig) { r.password = html(404) }, []string{"homeserver.trust not_matrix"}},
	{"trust: dies over the question", func(r *rig) { r.password = html(504) }, []string{"homeserver.trust homeserver_down"}},
	{"trust: does not understand the answer", func(r *rig) {
		r.password = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			r.faceCalls.Add(1)
			jsonAnswer(500, `{"errcode":"M_UNKNOWN"}`).ServeHTTP(w, req)
		})
	}, []string{"homeserver.trust homeserver_error"}},
}
