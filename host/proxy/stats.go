package proxy

// Stats is how much is going on.
type Stats struct {
	// Requests are those that have begun and not ended, WebSockets and event streams among
	// them.
	Requests int
	// Callers and Strangers are connections to the listeners of Serve: those on which a
	// request has shown a token, and the others. There are at most MaxConnections of each.
	Callers, Strangers int
}

// Stats returns how much is going on.
func (p *Proxy) Stats() Stats {
	callers, strangers := p.gate.count()
	return Stats{Requests: int(p.underway.Load()), Callers: callers, Strangers: strangers}
}

// count returns how many connections there are.
func (g *gate) count() (callers, strangers int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.callers, len(g.strangers)
}
