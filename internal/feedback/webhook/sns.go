// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // signature version 1 of SNS is SHA-1, and still its default
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// envelope is a message of SNS. Subject is a pointer because only a subject
// that is there takes part in the signature.
type envelope struct {
	Type             string
	MessageID        string `json:"MessageId"`
	Token            string
	TopicArn         string
	Subject          *string
	Message          string
	Timestamp        string
	SignatureVersion text
	Signature        string
	SigningCertURL   string
	SubscribeURL     string
}

// Types of messages.
const (
	snsNotification = "Notification"
	snsSubscribe    = "SubscriptionConfirmation"
	snsUnsubscribe  = "UnsubscribeConfirmation"
)

// arn is the name of a topic, with its part of AWS and its region.
var arn = regexp.MustCompile(`^arn:(aws|aws-cn|aws-us-gov):sns:([a-z]{2}(?:-[a-z]+){1,3}-[0-9]{1,2}):[0-9]{12}:[0-9A-Za-z_-]{1,256}$`)

// certificatePath is where SNS keeps its certificates.
var certificatePath = regexp.MustCompile(`^/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem$`)

// topicHost is the only host that may vouch for a topic: the certificate of
// one region does not sign for another.
func topicHost(topic string) (string, error) {
	m := arn.FindStringSubmatch(topic)
	if m == nil {
		return "", errors.New("topic is not the ARN of an SNS topic")
	}
	host := "sns." + m[2] + ".amazonaws.com"
	if m[1] == "aws-cn" {
		host += ".cn"
	}
	return host, nil
}

// onHost returns the URL if it is https on exactly that host, with nothing
// that a client could read as another one.
func onHost(raw, host string) (*url.URL, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host != host || strings.ContainsAny(raw, "\\ \t\r\n@#") {
		return nil, false
	}
	return u, true
}

// certificateURL is where the key to this message may be fetched.
func (e *envelope) certificateURL(host string) (string, bool) {
	u, ok := onHost(e.SigningCertURL, host)
	if !ok || !certificatePath.MatchString(u.EscapedPath()) || u.RawQuery != "" || u.ForceQuery {
		return "", false
	}
	return u.String(), true
}

// confirmation is the URL that confirms the subscription, if it does no other
// thing than that and for no other topic.
func (e *envelope) confirmation(host string) (string, bool) {
	u, ok := onHost(e.SubscribeURL, host)
	if !ok || u.EscapedPath() != "/" && u.EscapedPath() != "" {
		return "", false
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(q["Action"]) != 1 || len(q["TopicArn"]) != 1 || len(q["Token"]) != 1 ||
		q.Get("Action") != "ConfirmSubscription" || q.Get("TopicArn") != e.TopicArn || q.Get("Token") != e.Token {
		return "", false
	}
	return u.String(), true
}

// signed is the string that the signature is over: the names and values of
// some fields, sorted by name, each on a line of its own.
func (e *envelope) signed() string {
	var b strings.Builder
	field := func(name, value string) { b.WriteString(name + "\n" + value + "\n") }
	field("Message", e.Message)
	field("MessageId", e.MessageID)
	if e.Type == snsNotification {
		if e.Subject != nil {
			field("Subject", *e.Subject)
		}
	} else {
		field("SubscribeURL", e.SubscribeURL)
	}
	field("Timestamp", e.Timestamp)
	if e.Type != snsNotification {
		field("Token", e.Token)
	}
	field("TopicArn", e.TopicArn)
	field("Type", e.Type)
	return b.String()
}

// verify checks the signature with the certificate that the message names.
func (e *envelope) verify(ctx context.Context, host string, certs *certificates) error {
	from, ok := e.certificateURL(host)
	if !ok || e.SignatureVersion != "1" && e.SignatureVersion != "2" {
		return errForbidden
	}
	signature, err := base64.StdEncoding.DecodeString(e.Signature)
	if err != nil {
		return errForbidden
	}
	key, err := certs.key(ctx, from)
	if err != nil {
		return err
	}
	if e.SignatureVersion == "1" {
		sum := sha1.Sum([]byte(e.signed())) //nolint:gosec // see the import
		err = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], signature)
	} else {
		sum := sha256.Sum256([]byte(e.signed()))
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	}
	if err != nil {
		return errForbidden
	}
	return nil
}
