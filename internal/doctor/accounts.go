package doctor

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/ssyncp/ssyncp/internal/keyring"
)

// account is a user as files know it.
type account struct {
	name   string
	user   int
	groups []int
}

// accountNamed reads /etc/passwd and /etc/group; what comes from elsewhere, such
// as a directory service, is not what a daemon runs as.
func accountNamed(files Files, name string) (account, bool) {
	for fields := range entries(files, "/etc/passwd", 4) {
		if fields[0] == name {
			return accountOf(files, fields)
		}
	}
	return account{}, false
}

// accountWith is accountNamed by number; one without a name has no groups.
func accountWith(files Files, user int) account {
	for fields := range entries(files, "/etc/passwd", 4) {
		if fields[2] == strconv.Itoa(user) {
			if a, ok := accountOf(files, fields); ok {
				return a
			}
		}
	}
	return account{name: strconv.Itoa(user), user: user}
}

func accountOf(files Files, passwd []string) (account, bool) {
	a := account{name: passwd[0]}
	user, err := strconv.Atoi(passwd[2])
	group, err2 := strconv.Atoi(passwd[3])
	if err != nil || err2 != nil {
		return account{}, false
	}
	a.user, a.groups = user, []int{group}
	for fields := range entries(files, "/etc/group", 4) {
		if id, err := strconv.Atoi(fields[2]); err == nil && slices.Contains(strings.Split(fields[3], ","), a.name) {
			a.groups = append(a.groups, id)
		}
	}
	return a, true
}

// groupNamed returns the number of a group.
func groupNamed(files Files, name string) (int, bool) {
	for fields := range entries(files, "/etc/group", 3) {
		if id, err := strconv.Atoi(fields[2]); err == nil && fields[0] == name {
			return id, true
		}
	}
	return 0, false
}

// entries yields the lines of a file like /etc/passwd that have so many fields.
func entries(files Files, file string, least int) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		text, err := files.ReadFile(file)
		if err != nil {
			return
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Split(strings.TrimSpace(line), ":")
			if len(fields) >= least && !yield(fields) {
				return
			}
		}
	}
}

// unreadable says what keeps an account from reading a file, by owners and modes
// alone, and what to do; "" is nothing. Whether it is there is not asked.
func (a account) unreadable(files Files, file string) (why, remedy string) {
	if a.user == 0 {
		return "", ""
	}
	for directory := path.Dir(file); ; directory = path.Dir(directory) {
		if s, err := files.Stat(directory); err == nil && !a.may(s, 1) {
			return fmt.Sprintf("the directory %s is closed to it (mode %04o)", directory, s.Mode),
				fmt.Sprintf("chgrp %s %[2]s and chmod 2750 %[2]s", keyring.Group, directory)
		}
		if directory == "/" || directory == "." {
			break
		}
	}
	if s, err := files.Stat(file); err == nil && !a.may(s, 4) {
		return fmt.Sprintf("its mode is %04o, its owner user %d, group %d", s.Mode, s.User, s.Group),
			fmt.Sprintf("chgrp %s %[2]s and chmod 640 %[2]s", keyring.Group, file)
	}
	return "", ""
}

// may reports whether the account has one of the rights 4, 2, 1 in a file.
func (a account) may(s FileStat, right uint32) bool {
	switch {
	case s.User == a.user:
		return s.Mode>>6&right != 0
	case slices.Contains(a.groups, s.Group):
		return s.Mode>>3&right != 0
	}
	return s.Mode&right != 0
}
