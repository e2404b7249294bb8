// Package identity says who a director is: its number among peers, and its
// name.
package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// MachineIDFile has the machine's identity: 32 hexadecimal digits, drawn when
// the system was installed (see machine-id(5)).
const MachineIDFile = "/etc/machine-id"

// Why there is no identity. The errors that wrap these say what to configure.
var (
	ErrMachineID = errors.New("not a machine ID")
	ErrName      = errors.New("not a name to show to peers")
)

// Identity is who a director is.
type Identity struct {
	SenderID uint32 // not 0
	Name     string // for people
}

// Of returns the identity with this number and this name; 0 is derived from
// [MachineIDFile], and "" is the host's name.
func Of(senderID uint32, name string) (Identity, error) {
	var err error
	if senderID == 0 {
		if senderID, err = SenderID(MachineIDFile); err != nil {
			return Identity{}, err
		}
	}
	if name == "" {
		if name, err = hostName(); err != nil {
			return Identity{}, err
		}
	}
	return Identity{SenderID: senderID, Name: name}, nil
}

// SenderID derives the number of this director from the machine ID in file. It
// is the first four bytes of HMAC-SHA256 of "ssyncp sender ID", with the
// machine ID's 16 bytes as the key: a machine ID is not for other eyes, and
// cannot be had back from that. Two machines out of 64 have the same number
// once in two million clusters, or when one is a copy of the other.
func SenderID(file string) (uint32, error) {
	const mend = "systemd-machine-id-setup makes one; or set wire.sender_id to a number that no other director has"
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("%w: %w: %s", ErrMachineID, err, mend)
	}
	id, err := hex.DecodeString(strings.TrimSuffix(string(text), "\n"))
	if err != nil || len(id) != 16 || [16]byte(id) == [16]byte{} {
		return 0, fmt.Errorf("%s: %w: %s", file, ErrMachineID, mend)
	}
	h := hmac.New(sha256.New, id)
	h.Write([]byte("ssyncp sender ID"))
	// 0 is no sender ID.
	return max(1, binary.BigEndian.Uint32(h.Sum(nil))), nil
}

func hostName() (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("%w: %w: set wire.name", ErrName, err)
	}
	return name, judge(name)
}

// judge says what is wrong with the name of a host, which may be any bytes.
func judge(name string) error {
	if len(name) > block.MaxName || !block.ValidName([]byte(name)) {
		return fmt.Errorf("host name %q: %w: set wire.name", name, ErrName)
	}
	return nil
}
