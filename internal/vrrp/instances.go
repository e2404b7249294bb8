package vrrp

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const (
	// gather is how long instances that change together are waited for:
	// those of a host do, and one announcement does for all.
	gather = 250 * time.Millisecond
	// interval is the least time between two announcements, or resyncs.
	interval = time.Minute
)

// instances are the roles of this host, and what is to be done about them.
type instances struct {
	all      map[string]Instance
	announce errand
	resync   errand
}

// errand is something that is to be done, but not too often.
type errand struct {
	wanted    bool
	at        time.Time // when, if it is wanted
	notBefore time.Time
}

func (e *errand) want(now time.Time) {
	if e.wanted {
		return
	}
	e.wanted, e.at = true, now.Add(gather)
	if e.at.Before(e.notBefore) {
		e.at = e.notBefore
	}
}

// due reports whether it is to be done now, as it then is.
func (e *errand) due(now time.Time) bool {
	if !e.wanted || now.Before(e.at) {
		return false
	}
	e.wanted, e.notBefore = false, now.Add(interval)
	return true
}

// again has it done then, as it was not done when it was due.
func (e *errand) again(at time.Time) { e.wanted, e.at, e.notBefore = true, at, at }

// set gives an instance a role, and returns the one that it had.
func (s *instances) set(now time.Time, name string, role Role) (before Role, err error) {
	if err := checkName(name); err != nil {
		return None, err
	}
	before = s.all[name].Role
	if before == role {
		return before, nil
	}
	switch {
	case role == None:
		delete(s.all, name)
	case before == None && len(s.all) == MaxInstances:
		return None, fmt.Errorf("%w: %q would be one more than %d", ErrInstances, name, MaxInstances)
	default:
		if s.all == nil {
			s.all = make(map[string]Instance)
		}
		s.all[name] = Instance{Name: name, Role: role, Since: now}
	}
	switch role {
	case Master:
		s.announce.want(now)
	case Backup:
		s.resync.want(now)
	}
	s.forget()
	return before, nil
}

// forget leaves undone what is for a role that is over by the time that its turn
// comes.
func (s *instances) forget() {
	s.announce.wanted = s.announce.wanted && s.any(Master)
	s.resync.wanted = s.resync.wanted && s.any(Backup)
}

func (s *instances) any(role Role) bool {
	for _, i := range s.all {
		if i.Role == role {
			return true
		}
	}
	return false
}

// next returns when something is to be done; zero: nothing is.
func (s *instances) next() (at time.Time) {
	for _, e := range []*errand{&s.announce, &s.resync} {
		if e.wanted && (at.IsZero() || e.at.Before(at)) {
			at = e.at
		}
	}
	return at
}

// list returns them by name.
func (s *instances) list() []Instance {
	list := make([]Instance, 0, len(s.all))
	for _, i := range s.all {
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b Instance) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
