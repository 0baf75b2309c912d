// SPDX-License-Identifier: Apache-2.0

// Package gsm7 counts what a short message costs: how many segments a text
// takes in the alphabet that networks choose for it (3GPP TS 23.038 §6.2.1,
// TS 23.040 §9.2.3.24.1). A single character outside of the default alphabet
// makes the whole text UCS-2, and more than halves what fits.
package gsm7
