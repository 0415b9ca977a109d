package main

import "golang.org/x/sys/windows"

// Why an address cannot be listened on: another program does, the machine does not
// have it, or not even its family.
const (
	addressInUse = windows.WSAEADDRINUSE
	noAddress    = windows.WSAEADDRNOTAVAIL
	noFamily     = windows.WSAEAFNOSUPPORT
)
