// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestConfigDefaultsAreSafe(t *testing.T) {
	c := SMTPConfig{Address: "smtp.example.org:587"}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	want := SMTPConfig{
		Address: "smtp.example.org:587", TLS: STARTTLS, Auth: AuthAuto, ServerName: "smtp.example.org",
		Timeout: DefaultTimeout, ConnectTimeout: DefaultConnectTimeout,
		HandoverTimeout: DefaultHandoverTimeout, Slow: DefaultSlow,
		MaxConnections: DefaultMaxConnections,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
}

func TestConfigIsRefusedWithAReason(t *testing.T) {
	tests := map[string]struct {
		cfg  SMTPConfig
		want string
	}{
		"no address":               {SMTPConfig{}, "host:port"},
		"no port":                  {SMTPConfig{Address: "smtp.example.org"}, "host:port"},
		"no host":                  {SMTPConfig{Address: ":25"}, "host:port"},
		"port by name":             {SMTPConfig{Address: "h:submission"}, "port"},
		"port zero":                {SMTPConfig{Address: "h:0"}, "port"},
		"port too high":            {SMTPConfig{Address: "h:65536"}, "port"},
		"unknown mode":             {SMTPConfig{Address: "h:25", TLS: "opportunistic"}, "starttls, tls or none"},
		"no TLS to elsewhere":      {SMTPConfig{Address: "h:25", TLS: NoTLS}, "only allowed for a server on this machine"},
		"no TLS to a public IP":    {SMTPConfig{Address: "192.0.2.1:25", TLS: NoTLS}, "only allowed for a server on this machine"},
		"password without TLS":     {SMTPConfig{Address: "localhost:25", TLS: NoTLS, Username: "u", Password: "p"}, "never sent without tls"},
		"password over the net":    {SMTPConfig{Address: "h:25", TLS: NoTLS, AllowPlaintext: true, Username: "u", Password: "p"}, "never sent without tls"},
		"name without password":    {SMTPConfig{Address: "h:25", Username: "u"}, "go together"},
		"password without name":    {SMTPConfig{Address: "h:25", Password: "p"}, "go together"},
		"negative timeout":         {SMTPConfig{Address: "h:25", Timeout: -time.Second}, "timeout"},
		"HELO with a command":      {SMTPConfig{Address: "h:25", HELO: "x\r\nMAIL FROM:<>"}, "helo"},
		"HELO with a space":        {SMTPConfig{Address: "h:25", HELO: "x y"}, "helo"},
		"HELO that is not ASCII":   {SMTPConfig{Address: "h:25", HELO: "bücher.example"}, "helo"},
		"mode in the wrong letter": {SMTPConfig{Address: "h:25", TLS: "TLS"}, "starttls, tls or none"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := NewSMTP(test.cfg)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			if test.cfg.Password != "" && err != nil && strings.Contains(err.Error(), `"p"`) {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestConfigTakesPlaintextOnlyWhereNobodyListens(t *testing.T) {
	for _, address := range []string{"localhost:25", "LOCALHOST:25", "127.0.0.1:25", "127.8.9.1:25", "[::1]:25"} {
		if err := (&SMTPConfig{Address: address, TLS: NoTLS}).Validate(); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"localhost.example.org:25", "0.0.0.0:25", "[::]:25", "[fe80::1]:25", "10.0.0.1:25"} {
		if err := (&SMTPConfig{Address: address, TLS: NoTLS}).Validate(); err == nil {
			t.Errorf("%s: plain text is allowed", address)
		}
		if err := (&SMTPConfig{Address: address, TLS: NoTLS, AllowPlaintext: true}).Validate(); err != nil {
			t.Errorf("%s, by an explicit word: %v", address, err)
		}
	}
}
