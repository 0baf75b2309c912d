// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-threepid/caddy-threepid/internal/instance"
)

// RegisterMetrics puts the collectors into a configuration's registry.
func RegisterMetrics(registry prometheus.Registerer) error {
	for _, c := range instance.Collectors() {
		err := registry.Register(c)
		// What is registered already is the same collector.
		if are := (prometheus.AlreadyRegisteredError{}); err != nil && !errors.As(err, &are) {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}
