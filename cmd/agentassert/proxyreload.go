package main

import (
	"context"
	"slices"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/settings"
	"github.com/agentassert/agentassert/host/proxy"
)

// atStart are the flags that are read at the start alone.
var atStart = []string{"access-log", "addr-file", "allow-remote", "cache-dir", "engine", "listen", "log-format", "operations-addr-file", "operations-listen", "token-file"}

// reloadWhenTold reloads for each hang-up, one after the other, until the context ends.
func (r *proxyRun) reloadWhenTold(ctx context.Context, p *proxy.Proxy, hangups *hangups) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups.told:
		}
		if hangups.terminalIsGone() {
			r.logs.own.Info("terminal is gone")
			r.end()
			return
		}
		tellSystemd(r.logs.own, isReloading())
		changed, err := r.reload(ctx, p)
		if r.metrics != nil {
			r.metrics.read(err)
		}
		if err != nil {
			r.logs.own.Warn("reload failed", "error", oneLine(err))
		} else {
			r.logs.own.Info("reloaded", "changed", changed)
		}
		tellSystemd(r.logs.own, isReady)
	}
}

// reload reads all settings anew, and has the proxy use them. On an error everything is as
// it was.
func (r *proxyRun) reload(ctx context.Context, p *proxy.Proxy) (changed []string, err error) {
	if r.spare == nil {
		r.spare, r.spareFlags = proxyCommand(&engineOptions{})
		newRoot().AddCommand(r.spare)
	}
	if err := settings.Again(r.spare, r.command); err != nil {
		return nil, withSources(r.spare, err)
	}
	values, flags := settings.Values(r.spare), *r.spareFlags // those in use stay as they are
	level, err := flags.checkLogs()
	if err != nil {
		return nil, withSources(r.spare, err)
	}
	next, err := r.open(ctx, &flags)
	if err != nil {
		return nil, withSources(r.spare, err)
	}
	if err := p.Replace(next.Setup); err != nil {
		next.Release()
		return nil, err
	}
	r.logs.level.Set(level)
	var restart []string
	for _, name := range settings.Changes(r.started, values) {
		if slices.Contains(atStart, name) {
			restart = append(restart, name)
		}
	}
	for _, name := range settings.Changes(r.current, values) {
		if !slices.Contains(atStart, name) {
			changed = append(changed, name)
		}
	}
	if next.token != r.token {
		changed = append(changed, "the token")
	}
	if len(restart) > 0 {
		r.logs.own.Warn("restart needed", "flags", restart)
	}
	r.current, r.token = values, next.token
	r.logs.say(next.said)
	return changed, nil
}
