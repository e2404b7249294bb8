package vrrp

import "strings"

// kind is what a line of the FIFO is about.
type kind int

const (
	unknown kind = iota
	other        // nothing that matters here
	role         // of an instance
)

// states of an instance, as keepalived writes them.
var states = map[string]Role{
	"MASTER": Master, "BACKUP": Backup, "FAULT": Fault,
	"STOP": None, "DELETED": None, // keepalived ends, or has another configuration
}

// without change: what keepalived tells of an instance beside its state.
var without = map[string]bool{"MASTER_RX_LOWER_PRI": true, "MASTER_PRIORITY": true, "BACKUP_PRIORITY": true}

// parse reads a line such as
//
//	INSTANCE "VI_1" MASTER 100
//
// The state of a group says nothing that those of its instances do not.
func parse(line string) (k kind, name string, r Role) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "GROUP", "VS", "RS":
		return other, "", None
	case "INSTANCE":
	default:
		return unknown, "", None
	}
	// keepalived escapes nothing: the name ends at the last quote.
	end := strings.LastIndexByte(rest, '"')
	if end < 1 || rest[0] != '"' {
		return unknown, "", None
	}
	name = rest[1:end]
	fields := strings.Fields(rest[end+1:])
	if len(fields) < 1 || len(fields) > 2 {
		return unknown, "", None
	}
	if without[fields[0]] {
		return other, "", None
	}
	r, is := states[fields[0]]
	if !is {
		return unknown, "", None
	}
	return role, name, r
}
