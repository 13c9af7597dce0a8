package drivertest

import (
	"os"
	"time"
)

// A driver with a fault is waited for as well, and nobody needs to wait long.
func init() {
	if os.Getenv("DRIVERTEST_FAULT") != "" {
		patience = 3 * time.Second
	}
}
