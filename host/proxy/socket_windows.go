package proxy

import (
	"context"
	"errors"
	"net"
)

// ListenUnix refuses: who may connect to a socket is not for a file's mode to say here.
func ListenUnix(context.Context, string) (net.Listener, error) {
	return nil, errors.New("a file's mode does not guard a socket on Windows; listen on 127.0.0.1 there")
}
