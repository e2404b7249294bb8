package vrrp

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Role is what a VRRP instance is on this host.
type Role int

// Roles of an instance.
const (
	None   Role = iota // it is gone
	Master             // it has the addresses
	Backup
	Fault
)

var roleNames = map[Role]string{None: "stop", Master: "master", Backup: "backup", Fault: "fault"}

func (r Role) String() string { return roleNames[r] }

// ParseRole takes a role in capitals as well, as keepalived writes it.
func ParseRole(text string) (Role, error) {
	lower := strings.ToLower(text)
	for role, name := range roleNames {
		if name == lower {
			return role, nil
		}
	}
	return None, fmt.Errorf("%w: %q: it is master, backup, fault, or stop for an instance that is gone", ErrRole, text)
}

// Instance is one with a role.
type Instance struct {
	Name  string
	Role  Role
	Since time.Time
}

// Limits of what is remembered.
const (
	MaxName      = 255 // bytes
	MaxInstances = 512 // 255 of IPv4 and 255 of IPv6 is more than a link has
)

func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty: name the vrrp_instance, such as VI_1", ErrName)
	case len(name) > MaxName:
		return fmt.Errorf("%w: it is longer than %d bytes", ErrName, MaxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%w: %q is not UTF-8 without control characters", ErrName, name)
	}
	return nil
}
