// SPDX-License-Identifier: Apache-2.0

package fakehs_test

// guarded is what is said to a homeserver that has a captcha before each registration,
// and whose users may have addresses at example.org only.
var guarded = []part{
	{"an address is not allowed", []deed{
		{"", "POST /register/email/requestToken", `{"client_secret":"s","send_attempt":1,"email":"x@elsewhere.org"}`},
		{"", "POST /register/email/requestToken", `{"client_secret":"s","send_attempt":1,"id_server":"$IS","email":"x@elsewhere.org"}`},
		{"", "POST /register/email/requestToken", `{"client_secret":"s","send_attempt":1,"id_server":"elsewhere","email":"x@elsewhere.org"}`},
		{"", "POST /register/email/requestToken", `{"client_secret":"s","send_attempt":1,"id_server":"$IS","email":"x@example.orgs"}`},
		{"", "POST /register/email/requestToken", `{"client_secret":"s","send_attempt":1,"id_server":"$IS","email":"x@EXAMPLE.org"}`},
		{"", "POST /register/email/requestToken", `{"client_secret":"s","send_attempt":1,"id_server":"$IS","email":7}`},
		{"", "POST /register/email/requestToken", probeHad},
		{"$A", "POST /account/3pid/email/requestToken", `{"client_secret":"s","send_attempt":1,"id_server":"$IS","email":"x@elsewhere.org"}`},
		{"$A", addPath, `{"three_pid_creds":{{email x@elsewhere.org}}}`},
		{"", "POST /account/password/email/requestToken", `{"client_secret":"s","send_attempt":1,"email":"x@elsewhere.org"}`},
		{"", "POST /register/msisdn/requestToken", `{"client_secret":"s","send_attempt":1,"id_server":"$IS","country":"GB","phone_number":"01632960001"}`},
		{"", "POST /account/3pid/msisdn/requestToken", `{"client_secret":"s","send_attempt":1,"id_server":"elsewhere","country":"GB","phone_number":"01632960001"}`},
		{"", "POST /account/password/msisdn/requestToken", `{"client_secret":"s","send_attempt":1,"id_server":"$IS","country":"GB","phone_number":"01632960001"}`},
		{"", passPath, `{"new_password":"pw1","auth":{"type":"m.login.email.identity","threepid_creds":{{email x@elsewhere.org}}}}`},
	}},
	{"somebody registers past a captcha", []deed{
		{"", regPath, `{"username":"$N","password":"pw0","auth":{"type":"m.login.dummy"}}`},
		{"", regPath, `{"auth":{"session":"$S","type":"m.login.recaptcha"}}`},
		{"", regPath, `{"auth":{"session":"$S","type":"m.login.recaptcha","response":"no"}}`},
		{"", regPath, `{"auth":{"session":"$S","type":"m.login.recaptcha","response":"solved"}}`},
		{"", regPath, `{"username":"$N","password":"pw0","auth":{"type":"m.login.recaptcha","response":"solved"}}`},
		{"", "GET /auth/m.login.recaptcha/fallback/web?session=$S", ``},
		{"", "POST /auth/m.login.recaptcha/fallback/web?session=$S", ``},
		{"", "POST /auth/m.login.recaptcha/fallback/web?session=$S&g-recaptcha-response=no", ``},
		{"", regPath, `{"auth":{"session":"$S","type":"m.login.email.identity","threepid_creds":{{email $A@example.org}}}}`},
		{"", regPath, `{"username":"$N-a","password":"pw0","auth":{"type":"m.login.email.identity","threepid_creds":{{email x$N@elsewhere.org}}}}`},
		{"", "POST /auth/m.login.recaptcha/fallback/web?session=$S&g-recaptcha-response=solved", ``},
		{"", regPath, `{"username":"$N-a","password":"pw0","auth":{"session":"$S"}}`},
		{"", regPath, `{"username":"$N-b","password":"pw0","auth":{"type":"m.login.msisdn","threepid_creds":{{msisdn 49301234567}}}}`},
		{"", regPath, `{"auth":{"session":"$S","type":"m.login.recaptcha","response":"solved"}}`},
	}},
}
