//go:build unix

package main

import "golang.org/x/sys/unix"

// Why an address cannot be listened on: another program does, the machine does not
// have it, or not even its family.
const (
	addressInUse = unix.EADDRINUSE
	noAddress    = unix.EADDRNOTAVAIL
	noFamily     = unix.EAFNOSUPPORT
)
