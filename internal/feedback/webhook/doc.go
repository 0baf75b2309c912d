// SPDX-License-Identifier: Apache-2.0

// Package webhook reads what mail services report over HTTP. Each service is
// an [http.Handler]:
//
//   - [SES]: Amazon SES by way of Amazon SNS. Sources: Amazon SES Developer
//     Guide, "Amazon SNS notification contents" and "Contents of event data
//     that Amazon SES publishes to Amazon SNS"; Amazon SNS Developer Guide,
//     "Verifying the signatures of Amazon SNS messages". Signature versions 1
//     (RSA with SHA-1) and 2 (RSA with SHA-256). Raw message delivery is not
//     signed and therefore refused.
//   - [Postmark]: "Bounce webhook", "Delivery webhook" and "Spam complaint
//     webhook" of the developer documentation. Postmark signs nothing; it
//     sends HTTP basic authentication, a header of our choice, or both.
//   - [Mailgun]: "Webhook payloads" and "Securing webhooks" of the user manual:
//     HMAC-SHA-256 over time and token, with the key of the account or, for
//     subaccounts, of the parent. The signature does not cover the event, so a
//     token is bound to the first event that it came with.
//   - [SendGrid]: "Event Webhook Reference" and "Getting Started with the Event
//     Webhook Security Features": ECDSA P-256 with SHA-256 over time and body.
//
// # What is answered
//
//	200  done, known already, or genuine and of no interest
//	400  genuine but not in the form of the service, or over a count
//	403  not genuine, or too old: nothing was done and nothing is told
//	405  not a POST
//	413  over 1 MiB; nothing was read of it
//	503  the store, or the certificate of SNS, is out of reach: repeat later
//
// Nothing of a body is ever echoed or logged, and no answer has a body.
//
// # Limits
//
// A body has at most 1 MiB. An SES notification names at most 50 recipients
// (the limit of the service), a SendGrid request has at most 5000 events. At
// most ten certificates are fetched in a minute.
package webhook
