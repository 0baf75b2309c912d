// SPDX-License-Identifier: Apache-2.0

package synapse

import "errors"

// errOwnMail is the outcome of options that need an identity server's word:
// newer servers verify addresses, and send the mail for it, by themselves.
var errOwnMail = errors.New("synapse " + NewestVersion + " believes no identity server: no email at registration, no reset by trust")

// modernize makes a configuration for Synapse 1.3.1 one for the newest.
func modernize(conf object, opts Options) error {
	if opts.RequireEmail || opts.ResetTrust {
		return errOwnMail
	}
	for _, gone := range []string{"no_tls", "uploads_path", "trusted_third_party_id_servers", "use_insecure_ssl_client_just_for_testing_do_not_use"} {
		delete(conf, gone)
	}
	// Without it, it does not start when a registration asks for nothing.
	conf["enable_registration_without_verification"] = true
	conf["rc_3pid_validation"] = plenty
	return nil
}
