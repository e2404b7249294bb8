package doctor

import "github.com/ssyncp/ssyncp/internal/keyring"

// runsAs returns the account of the daemon: of the one that runs, or of the unit,
// or else the one that asks. It is not ok where the unit's is not there.
func (x *examination) runsAs() (account, bool) {
	switch {
	case x.process != nil:
		return accountWith(x.host.Files, x.process.user), true
	case x.ownUnit.user != "":
		return accountNamed(x.host.Files, x.ownUnit.user)
	}
	return accountWith(x.host.Files, x.host.User), true
}

// user looks at whom the daemon runs as, and what that one may.
func (x *examination) user() {
	const sysusers = "systemd-sysusers ssyncp.conf, which the installation does"
	as, ok := x.runsAs()
	if !ok {
		x.find(Failure, sysusers, "the unit runs ssyncpd as user %s, and there is none", x.ownUnit.user)
		return
	}
	if _, ok := groupNamed(x.host.Files, keyring.Group); !ok && x.ownUnit.path != "" {
		x.find(Failure, sysusers, "there is no group %s, which /dev/ssyncp and the key are for", keyring.Group)
	}
	x.fact("ssyncpd runs as %s", as.name)
	if why, remedy := as.unreadable(x.host.Files, x.File); why != "" {
		x.find(Failure, remedy, "user %s cannot read %s: %s", as.name, x.File, why)
	}
	if x.process != nil {
		for _, capability := range missing(x.process.capabilities) {
			x.find(Failure, "start it by the unit, or as root; a drop-in must not take AmbientCapabilities= away: systemctl cat ssyncpd",
				"the running ssyncpd (process %d) lacks %s", x.process.id, capability)
		}
	}
	if _, own := statusOf(x.host.Files, "/proc/self"); len(missing(own)) > 0 {
		x.find(Note, "run ssyncpd doctor as root", "this user cannot look at everything: it lacks CAP_NET_ADMIN or CAP_NET_RAW")
	}
}
