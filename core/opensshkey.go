package core

import "strings"

const (
	// openSSHMagic is what a key in OpenSSH's own form begins with, and openSSHPlain what
	// one without a passphrase does (PROTOCOL.key of OpenSSH): cipher and key derivation
	// are none, and there is one key.
	openSSHMagic = "openssh-key-v1\x00"
	openSSHPlain = openSSHMagic + "\x00\x00\x00\x04none\x00\x00\x00\x04none\x00\x00\x00\x00\x00\x00\x00\x01"
	// openSSHCheck and openSSHSeed are where a number, which is there twice, and the seed
	// are, and openSSHComment the comment. Before the number is the size of what follows,
	// which is a multiple of openSSHBlock.
	openSSHCheck   = len(openSSHPlain) + 4 + len(sshKeyPrefix) + publicSize + 4
	openSSHSeed    = openSSHCheck + 4 + 4 + len(sshKeyPrefix) + publicSize + 4
	openSSHComment = openSSHSeed + 2*seedSize + 4
	openSSHBlock   = 8
)

// parseOpenSSH reads a key in OpenSSH's own form, without a passphrase. What it has to be is
// known from its number, its seed and its comment, and compared.
func parseOpenSSH(raw string) (*PrivateKey, error) {
	switch {
	case !strings.HasPrefix(raw, openSSHPlain):
		return nil, invalidKey("has a passphrase, or is not in OpenSSH's form; remove the passphrase first, with ssh-keygen -p -f FILE")
	case len(raw) < openSSHComment || !strings.HasPrefix(raw[len(openSSHPlain)+4:], sshKeyPrefix):
		return nil, invalidKey("is not the OpenSSH form of an Ed25519 key")
	}
	k, err := NewPrivateKey([]byte(raw[openSSHSeed : openSSHSeed+seedSize]))
	if err != nil {
		return nil, err
	}
	check, comment := raw[openSSHCheck:openSSHCheck+4], raw[openSSHComment:]
	// Behind the comment is what fills the last block.
	for fill := 0; fill < openSSHBlock && fill <= len(comment); fill++ {
		if k.openSSH(check, comment[:len(comment)-fill]) == raw {
			return k, nil
		}
	}
	return nil, invalidKey("is the OpenSSH form of an Ed25519 key, and damaged")
}

// openSSH returns the key in OpenSSH's own form, without a passphrase. The number tells a
// right passphrase from a wrong one. It is a secret.
func (k *PrivateKey) openSSH(check, comment string) string {
	public := sshKeyPrefix + string(k.public.encoded[:])
	secret := check + check + public + uint32Text(2*seedSize) + string(k.seed[:]) + string(k.public.encoded[:]) +
		uint32Text(len(comment)) + comment
	secret += "\x01\x02\x03\x04\x05\x06\x07"[:-len(secret)&(openSSHBlock-1)]
	return openSSHPlain + uint32Text(len(public)) + public + uint32Text(len(secret)) + secret
}

// uint32Text returns n as SSH has it (RFC 4251, section 5).
func uint32Text(n int) string {
	return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}
