package core

import (
	"slices"
	"strconv"

	"github.com/agentassert/agentassert/core/wire"
)

func (f *flow) load(step, slot string) wire.Effect {
	f.Step = step
	return wire.Effect{Type: wire.EffectLoad, Slot: slot}
}

// reload reads the identity, and after it whatever depends on it.
func (f *flow) reload() wire.Effect {
	f.Loaded = nil
	return f.load(stepLoadIdentity, f.profile.identitySlot())
}

// loaded goes on once a slot is read.
func (f *flow) loaded(slot string) (wire.Effect, error) {
	f.Loaded = append(f.Loaded, slot)
	return f.proceed()
}

func (f *flow) isLoaded(slot string) bool { return slices.Contains(f.Loaded, slot) }

// write saves a record, or empties the slot where there is none.
func (f *flow) write(step, slot string, record []byte) wire.Effect {
	f.Step = step
	if len(record) == 0 {
		return wire.Effect{Type: wire.EffectDelete, Slot: slot}
	}
	return wire.Effect{Type: wire.EffectSave, Slot: slot, Record: record}
}

// swap replaces the identity, if it is still the one that was read.
func (f *flow) swap(step string, record []byte) wire.Effect {
	f.Step = step
	return wire.Effect{Type: wire.EffectSwap, Slot: wire.SlotIdentity, Expected: f.Record, Record: record}
}

func (f *flow) entropy(step string, size int64) wire.Effect {
	f.Step = step
	return wire.Effect{Type: wire.EffectEntropy, Size: size}
}

func (f *flow) lock(step, slot string) wire.Effect {
	f.Step = step
	return wire.Effect{Type: wire.EffectLock, Slot: slot}
}

// locked goes on under a lock: what was read without it may have changed.
func (f *flow) locked(slot string) (wire.Effect, error) {
	f.Locked = append(f.Locked, slot)
	return f.reload(), nil
}

func (f *flow) isLocked(slot string) bool { return slices.Contains(f.Locked, slot) }

// unlockIdentity gives the identity's lock back, so that other threads can register
// at the same time.
func (f *flow) unlockIdentity() wire.Effect {
	f.Locked = slices.DeleteFunc(f.Locked, func(slot string) bool { return slot == wire.SlotIdentity })
	f.Step = stepUnlockIdentity
	return wire.Effect{Type: wire.EffectUnlock, Slot: wire.SlotIdentity}
}

// probe finds out whether what is to be registered can be kept, unless that is
// known.
func (f *flow) probe(slot string) (effect wire.Effect, wanted bool) {
	if slices.Contains(f.Probed, slot) {
		return wire.Effect{}, false
	}
	f.Probed = append(f.Probed, slot)
	f.Step = stepProbe
	return wire.Effect{Type: wire.EffectProbe, Slot: slot}, true
}

// lockAndLook takes the lock of a slot, and looks whether the backend is to be
// left alone: before it waits for the lock and, as that takes time, again under
// it.
func (f *flow) lockAndLook(slot string) (effect wire.Effect, wanted bool, err error) {
	pauses := !f.isTurn() || f.profile.turnsPause()
	if f.pauses().Most > 0 && !f.isLoaded(wire.SlotBackoff) && (f.isLocked(slot) || pauses) {
		return f.load(stepLoadBackoff, wire.SlotBackoff), true, nil
	}
	if b := readBackoff(f.Backoff, f.backoffKey()); f.isLoaded(wire.SlotBackoff) && b.active(f.now) && pauses {
		f.Passing = !b.final
		effect, err = f.refuse(f.registrationFailed(), b.retryAt, fail(CodeBackingOff, "registration failed "+strconv.FormatInt(b.failures, 10)+" times, last with "+b.code+", and is not tried again yet"))
		return effect, true, err
	}
	switch {
	case f.isLocked(slot):
		return wire.Effect{}, false, nil
	case slot == f.profile.identitySlot():
		return f.lock(stepLockIdentity, slot), true, nil
	case f.isLocked(wire.SlotIdentity):
		return f.unlockIdentity(), true, nil
	}
	return f.lock(stepLockThread, slot), true, nil
}

// backoffKey is the name under which failures are remembered.
func (f *flow) backoffKey() string { return f.profile.backoffKey(f.account()) }

// threadSlot is where the thread's task is kept.
func (f *flow) threadSlot() string { return wire.SlotThread + f.ThreadID }

// taskSlot is where the call's task is kept.
func (f *flow) taskSlot() string {
	if f.isThread() {
		return f.threadSlot()
	}
	return wire.SlotIdentity
}
