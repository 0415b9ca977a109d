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

// appendClockMove appends code that moves the clock on.
func appendClockMove(code []byte, clock uint64, nanoseconds int64) []byte {
	code = appendUnsigned(append(code, opGlobalGet), clock)
	code = appendSigned(append(code, opI64Const), nanoseconds)
	return appendUnsigned(append(code, opI64Add, opGlobalSet), clock)
}
