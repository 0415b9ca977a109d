package host

import "context"

// Observer is told what a manager does. Its methods are called by several
// goroutines at once, and must not block. What they are given holds no secret
// that shows when it is formatted. Package telemetry has one for OpenTelemetry.
type Observer interface {
	// Decided is called when a flow has ended with an authorization.
	Decided(a Authorization)
	// Reused is called when a call got the answer of this second.
	Reused(a Authorization)
	// Request is called before each request of a registration; done when it has
	// its response, or err. The context it returns is the request's.
	Request(ctx context.Context, method, url string) (_ context.Context, done func(status int, err error))
}
