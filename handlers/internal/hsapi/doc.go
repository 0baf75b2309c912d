// SPDX-License-Identifier: Apache-2.0

// Package hsapi is what we ask of the homeserver by ourselves: whose token this is, which
// addresses an account has, whether one is taken, in which spelling, which endpoints there
// are, and what is offered to those who register.
//
// A [Homeserver] has no address: each question goes the way of the request that it is
// about, so that the proxy behind us keeps its balancing and its health checks.
package hsapi
