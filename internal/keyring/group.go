package keyring

import (
	"os/user"
	"strconv"
)

// Group may read a key file that is root's: the daemon is in it, whose user is
// not root.
const Group = "ssyncp"

// noGroup is where there is no such group.
const noGroup = -1

func groupID() int {
	g, err := user.LookupGroup(Group)
	if err != nil {
		return noGroup
	}
	id, err := strconv.Atoi(g.Gid)
	if err != nil {
		return noGroup
	}
	return id
}
