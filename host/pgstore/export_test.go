package pgstore

import "github.com/agentassert/agentassert/core/wire"

// LockKey is the number of the advisory lock of a name's identity.
func LockKey(name string) int64 { return slotKey(name, wire.SlotIdentity) }
