// SPDX-License-Identifier: Apache-2.0

package postfix

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
)

// layout is where a server has its files.
type layout struct{ base string }

func (l layout) conf() string          { return filepath.Join(l.base, "conf") }
func (l layout) queue() string         { return filepath.Join(l.base, "queue") }
func (l layout) data() string          { return filepath.Join(l.base, "data") }
func (l layout) log() string           { return filepath.Join(l.base, "log", "mail.log") }
func (l layout) sasl() string          { return filepath.Join(l.base, "conf", "sasl") }
func (l layout) in(name string) string { return filepath.Join(l.conf(), name) }
func (l layout) passwords() string     { return filepath.Join(l.base, "sasldb") }
func (l layout) directories() []string {
	return []string{l.conf(), l.sasl(), l.queue(), filepath.Dir(l.log())}
}

// write makes a file of the configuration that seems to be there for a while:
// Postfix waits two seconds for one that somebody may still be writing.
func (l layout) write(name, content string) error {
	if err := os.WriteFile(l.in(name), []byte(content), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	before := time.Now().Add(-time.Hour)
	return os.Chtimes(l.in(name), before, before)
}

// The parts of the queue, as postfix-files(5) has them: those of the owner
// alone, and those that a group can enter.
var (
	ownDirectories = []string{
		"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace",
	}
	groupDirectories = map[string]os.FileMode{"maildrop": 0o730, "public": 0o710}
)

// makeDirectories makes them as master(8) wants them: owned by another user.
func (l layout) makeDirectories(who ids) error {
	uid, err := strconv.Atoi(who.uid)
	if err != nil {
		return fmt.Errorf("read a user's number: %w", err)
	}
	gid, err := strconv.Atoi(who.gid)
	if err != nil {
		return fmt.Errorf("read a group's number: %w", err)
	}
	for _, d := range append(l.directories(), filepath.Join(l.queue(), "pid")) {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("make a directory: %w", err)
		}
	}
	modes := maps.Clone(groupDirectories)
	for _, name := range ownDirectories {
		modes[name] = 0o700
	}
	for name, mode := range modes {
		if err := own(filepath.Join(l.queue(), name), mode, uid, gid); err != nil {
			return err
		}
	}
	return own(l.data(), 0o700, uid, gid)
}

func own(dir string, mode os.FileMode, uid, gid int) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return fmt.Errorf("give away a directory: %w", err)
	}
	return os.Chmod(dir, mode)
}

// services are the lines of master.cf(5) besides those that listen.
const services = `pickup   unix n - n 60 1 pickup
cleanup  unix n - n - 0 cleanup
qmgr     unix n - n 300 1 qmgr
tlsmgr   unix - - n 1000? 1 tlsmgr
rewrite  unix - - n - - trivial-rewrite
bounce   unix - - n - 0 bounce
defer    unix - - n - 0 bounce
trace    unix - - n - 0 bounce
verify   unix - - n - 1 verify
flush    unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp     unix - - n - - smtp
error    unix - - n - - error
retry    unix - - n - - error
anvil    unix - - n - 1 anvil
scache   unix - - n - 1 scache
postlog  unix-dgram n - n - 1 postlogd
`

// settings are the lines of main.cf(5).
func (l layout) settings(env Env, o Options, next string) map[string]string {
	set := map[string]string{
		"compatibility_level": "3.6",
		"queue_directory":     l.queue(), "data_directory": l.data(), "meta_directory": l.conf(),
		"command_directory": filepath.Join(env.Dir, "usr/sbin"), "daemon_directory": env.daemons(), "shlib_directory": env.libraries(),
		"sendmail_path": env.command("sendmail"), "mail_owner": owner, "setgid_group": group,
		"import_environment": "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME " + strings.Join(env.environ(), " "),
		"maillog_file":       l.log(), "maillog_file_prefixes": l.base,

		"myhostname": o.Hostname, "mydestination": "", "mynetworks": "", "local_recipient_maps": "", "alias_maps": "", "alias_database": "",
		"inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4", "smtp_dns_support_level": "disabled", "smtpd_peername_lookup": "no",
		"biff": "no", "message_size_limit": "10240000",

		"smtpd_tls_cert_file": l.in("cert.pem"), "smtpd_tls_key_file": l.in("key.pem"), "smtpd_tls_CAfile": l.in("ca.pem"),
		"smtpd_tls_security_level": "encrypt", "smtpd_tls_ask_ccert": "yes", "smtpd_tls_loglevel": "1",

		"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "cyrus", "smtpd_sasl_path": "smtpd", "cyrus_sasl_config_path": l.sasl(),
		"smtpd_sasl_local_domain":  o.Hostname,
		"smtpd_relay_restrictions": "permit_sasl_authenticated, permit_tls_all_clientcerts, reject",

		"virtual_mailbox_domains": strings.Join(o.domains(), " "), "virtual_mailbox_maps": "texthash:" + l.in("recipients"),
		"virtual_transport": "smtp:" + next,
	}
	maps.Copy(set, o.Settings)
	return set
}

// configure writes all that the server reads.
func (l layout) configure(env Env, o Options, ports []int, next string, ca *certs.Authority) error {
	var main strings.Builder
	set := l.settings(env, o, next)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		fmt.Fprintf(&main, "%s = %s\n", name, set[name])
	}
	listen := fmt.Sprintf("127.0.0.1:%d inet n - n - - smtpd\n127.0.0.1:%d inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n", ports[0], ports[1])
	cert, err := ca.Issue(certs.ServerTemplate("localhost", "127.0.0.1", o.Hostname))
	if err != nil {
		return err
	}
	chain, key, err := certs.EncodePEM(cert)
	if err != nil {
		return err
	}
	var recipients strings.Builder
	for _, address := range o.Recipients {
		fmt.Fprintf(&recipients, "%s here\n", address)
	}
	for name, content := range map[string]string{
		"main.cf": main.String(), "master.cf": listen + services, "cert.pem": string(chain), "key.pem": string(key), "ca.pem": string(ca.PEM()),
		"recipients": recipients.String(),
	} {
		if err := l.write(name, content); err != nil {
			return err
		}
	}
	return l.write("sasl/smtpd.conf", fmt.Sprintf(
		"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: %s\nmech_list: %s\n", l.passwords(), strings.Join(o.Mechanisms, " ")))
}

// setPassword makes the data base of Cyrus SASL, which smtpd(8) reads when it is
// no longer root.
func (l layout) setPassword(ctx context.Context, env Env, o Options, who ids) error {
	cmd := exec.CommandContext(ctx, env.command("saslpasswd2"), "-p", "-c", "-f", l.passwords(), "-u", o.Hostname, o.Username)
	cmd.Env = append(os.Environ(), env.environ()...)
	cmd.Stdin = strings.NewReader(o.Password)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("set the password: %w: %s", err, out)
	}
	uid, err := strconv.Atoi(who.uid)
	if err != nil {
		return fmt.Errorf("read a user's number: %w", err)
	}
	return os.Chown(l.passwords(), uid, 0)
}
