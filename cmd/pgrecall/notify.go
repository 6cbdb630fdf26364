package main

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// notifyTimeout bounds a message to the service manager, whose queue may be full.
const notifyTimeout = time.Second

// States of sd_notify(3).
const (
	notifyReady     = "READY=1"
	notifyReloading = "RELOADING=1"
	notifyStopping  = "STOPPING=1"
)

// notify tells the service manager that started the process about its state, by the datagram of sd_notify(3). Without one,
// where NOTIFY_SOCKET is not set, it does nothing.
func (p *process) notify(states ...string) error {
	name := p.env("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	conn, err := net.DialTimeout("unixgram", name, notifyTimeout)
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(notifyTimeout)); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	if _, err := conn.Write([]byte(strings.Join(states, "\n"))); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

// tell notifies, and says so where that fails: it is no reason to stop.
func (p *process) tell(logger *slog.Logger, states ...string) {
	if err := p.notify(states...); err != nil {
		logger.Warn("the service manager was not told", "states", states, "error", err)
	}
}

// monotonic is the time that systemd wants with RELOADING=1, to tell the answer to its own request from another one.
func monotonic() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "MONOTONIC_USEC=0"
	}
	return fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/int64(time.Microsecond))
}
