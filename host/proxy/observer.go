package proxy

import "time"

// Observer is told of requests. Its methods are called by several goroutines at once, and
// must not block. Who implements it embeds [NoopObserver], because there can be new
// methods.
type Observer interface {
	// Request is called once for each request, when its response has ended.
	Request(RequestInfo)
}

// NoopObserver does nothing when it is told something. Embed it in an observer.
type NoopObserver struct{}

// Request implements [Observer].
func (NoopObserver) Request(RequestInfo) {}

// RequestInfo is what an observer is told of a request. It holds no secret.
type RequestInfo struct {
	// Method is the request's, as it was sent: whoever counts by it bounds what it counts.
	Method string
	// Status is the response's. It is 0 where the connection has ended without one.
	Status int
	// Code is why the request was refused, or its response broken off: one of this
	// package's, of package host's or of package core's. It is empty where the upstream has
	// answered, whatever it has answered.
	Code string
	// Mode and Reason are those of the authorization that the request went out with, as in
	// host.Authorization. They are empty where it did not go out.
	Mode, Reason string
	// Recovered says that the upstream has rejected an assertion, and that the request was
	// sent once more with another authorization.
	Recovered bool
	// Duration is from the request's header to the response's end. That of a WebSocket ends
	// with its connection.
	Duration time.Duration
	// Sent and Received are the bytes of the response's and the request's body, what has
	// passed on a WebSocket not among them.
	Sent, Received int64
}
