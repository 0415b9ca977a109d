package main

// The module's clock. Go's runtime reads it to pace the collector and to know when to wake goroutines; for
// which a clock must not stand still, and needs no more. It is a global that moves on for two reasons.
const (
	// defaultClockStep is by how much it moves on each time it is read, in nanoseconds.
	defaultClockStep = 100_000
	// callTime is by how much it moves on at each call of an export, in nanoseconds. The collector reads
	// the clock while it works and nobody reads it in between, so without that Go's limiter of the
	// collector's share of the processor (runtime, gcCPULimiter) comes to believe that collecting takes
	// more than half of the time. It then turns off the assists by which who allocates helps to collect,
	// and on this platform nothing else ends a cycle: after some 700,000 assertions memory grew for good.
	callTime = 10_000_000
)

// clockStep is defaultClockStep, but for a test that is to see in a minute what takes an hour.
var clockStep int64 = defaultClockStep

// passTime has each call of an export move the clock on, which is the global of that index.
func (m *module) passTime(clock uint64) {
	m.wrapExports(appendClockMove(nil, clock, callTime))
}

// appendClockMove appends code that moves the clock on.
func appendClockMove(code []byte, clock uint64, nanoseconds int64) []byte {
	code = appendUnsigned(append(code, opGlobalGet), clock)
	code = appendSigned(append(code, opI64Const), nanoseconds)
	return appendUnsigned(append(code, opI64Add, opGlobalSet), clock)
}

// wrapExports has the exported functions begin with code, which must leave the stack as it is. Who calls
// them within the module does not come by it.
func (m *module) wrapExports(code []byte) {
	m.functions = append([]uint32(nil), m.functions...)
	m.code = append([][]byte(nil), m.code...)
	m.exports = append([]export(nil), m.exports...)
	for i, e := range m.exports {
		if e.kind != externFunc {
			continue
		}
		typ := m.functions[int(e.index)-len(m.imports)]
		body := append([]byte{0}, code...) // no locals
		for p := range m.types[typ].params {
			body = appendUnsigned(append(body, opLocalGet), uint64(p))
		}
		body = appendUnsigned(append(body, opCall), uint64(e.index))
		m.exports[i].index = uint32(len(m.imports) + len(m.functions))
		m.functions = append(m.functions, typ)
		m.code = append(m.code, append(body, opEnd))
	}
}
