// SPDX-License-Identifier: Apache-2.0

package kannel

import (
	"cmp"
	"fmt"
	"strings"
)

// Options say what a server is like.
type Options struct {
	// Username and Password are what it takes; default: user and secret.
	Username, Password string
	// Refuse are the prefixes of the numbers that the SMSC refuses.
	Refuse []string
}

func (o *Options) setDefaults() {
	o.Username, o.Password = cmp.Or(o.Username, "user"), cmp.Or(o.Password, "secret")
}

// ports are those of a server, all of them on loopback.
type ports struct{ admin, box, smsc, sendsms int }

// The format of the access log: see sent.
const accessFormat = "%l|%L|%c|%P|%p"

// configure writes all that the server reads. A group ends at an empty line.
func (o *Options) configure(p ports, statusPassword string) string {
	refuse := ""
	if len(o.Refuse) > 0 {
		refuse = fmt.Sprintf("denied-prefix = %q\n", strings.Join(o.Refuse, ";"))
	}
	return fmt.Sprintf(`group = core
admin-interface = 127.0.0.1
admin-port = %d
admin-password = %[5]q
status-password = %[5]q
smsbox-interface = 127.0.0.1
smsbox-port = %[2]d
box-allow-ip = 127.0.0.1
box-deny-ip = "*.*.*.*"
access-log = "/dev/stdout"
access-log-clean = yes
access-log-format = "%[6]s"
dlr-storage = internal

group = smsc
smsc-id = fakesmsc
smsc = fake
our-host = 127.0.0.1
port = %[3]d
connect-allow-ip = 127.0.0.1
%[7]s
group = smsbox
smsbox-id = smsbox
bearerbox-host = 127.0.0.1
sendsms-interface = 127.0.0.1
sendsms-port = %[4]d
sendsms-chars = "0123456789+"

group = sendsms-user
username = %[8]q
password = %[9]q
user-allow-ip = 127.0.0.1
user-deny-ip = "*.*.*.*"
concatenation = yes
max-messages = 10
`, p.admin, p.box, p.smsc, p.sendsms, statusPassword, accessFormat, refuse, o.Username, o.Password)
}
