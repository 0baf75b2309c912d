// SPDX-License-Identifier: Apache-2.0

// Package neterr tells what a connection failed of: by the errors of net, crypto/tls
// and crypto/x509, of which there are many kinds in many layers. What that is called,
// and what is to be done, is for those to say who wanted the connection.
package neterr
