package main

import (
	"context"
	"errors"
	"net"

	"golang.org/x/sys/windows"
)

// Why an address cannot be listened on: another program does, the machine does not
// have it, or not even its family.
const (
	addressInUse = windows.WSAEADDRINUSE
	noAddress    = windows.WSAEADDRNOTAVAIL
	noFamily     = windows.WSAEAFNOSUPPORT
)

// listenSocket refuses: who may connect to a socket is not for a file's mode to say
// here.
func listenSocket(context.Context, string) (net.Listener, error) {
	return nil, errors.New("a file's mode does not guard a socket on Windows; listen on 127.0.0.1 there")
}
