package main

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/host/proxy"
)

// What --log-format and --log-level can be.
var (
	logFormats = []string{"text", "json"}
	logLevels  = []string{"debug", "info", "warn", "error"}
)

// proxyLogs are where a run says what happens.
type proxyLogs struct {
	// events are the proxy's, of which those that repeat are counted, and own are the
	// command's, which are all there. Their level can be changed. access is nil where nobody
	// wants it.
	events, own, access *slog.Logger
	level               slog.LevelVar
	// text has lines for a person, and is nil where programs read the log.
	text io.Writer
}

// newLogs reads the flags.
func (f *proxyFlags) newLogs(w io.Writer) (*proxyLogs, error) {
	logs := &proxyLogs{}
	level, err := f.checkLogs()
	if err != nil {
		return nil, err
	}
	logs.level.Set(level)
	w = &oneWriter{below: w}
	handler := func(level slog.Leveler) slog.Handler {
		if f.logFormat == "json" {
			return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
		}
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})
	}
	logs.own = slog.New(handler(&logs.level))
	logs.events = slog.New(proxy.CountRepeats(logs.own.Handler()))
	if f.accessLog {
		logs.access = slog.New(handler(slog.LevelInfo))
	}
	if f.logFormat == "text" {
		logs.text = w
	}
	return logs, nil
}

// checkLogs reads the flags about the log, and returns its level.
func (f *proxyFlags) checkLogs() (level slog.Level, err error) {
	if !slices.Contains(logFormats, f.logFormat) {
		return 0, usage(fmt.Errorf("--log-format is text or json, not %q", f.logFormat))
	}
	if !slices.Contains(logLevels, f.logLevel) || level.UnmarshalText([]byte(f.logLevel)) != nil {
		return 0, usage(fmt.Errorf("--log-level is one of %s, not %q", strings.Join(logLevels, ", "), f.logLevel))
	}
	return level, nil
}

// say tells a person, or else the log, what there is to know of a setup.
func (l *proxyLogs) say(lines []string) {
	for _, line := range lines {
		if l.text != nil {
			fmt.Fprintln(l.text, "agentassert:", line)
		} else {
			l.own.Warn("notice", "notice", line)
		}
	}
}

// loggedError is one that a log has already, which is for programs to read.
type loggedError struct{ error }

func (e loggedError) Unwrap() error { return e.error }

// end logs the error with which a run ends, where programs read the log.
func (l *proxyLogs) end(cmd *cobra.Command, err error) error {
	if err == nil || l.text != nil {
		return err
	}
	l.own.Error("failed", "error", oneLine(withSources(cmd, err)))
	return loggedError{err}
}

// oneWriter keeps the lines of several loggers apart.
type oneWriter struct {
	mu    sync.Mutex
	below io.Writer
}

func (w *oneWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.below.Write(p)
}
