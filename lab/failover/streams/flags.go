package main

import (
	"fmt"
	"strings"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

// list is a flag that can be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// services is a repeatable flag GROUP=ADDRESS:PORT.
type services map[verdict.Group]string

func (s services) String() string { return fmt.Sprint(map[verdict.Group]string(s)) }

func (s services) Set(value string) error {
	group, address, ok := strings.Cut(value, "=")
	if !ok {
		return fmt.Errorf("%q is not GROUP=ADDRESS:PORT", value)
	}
	s[verdict.Group(group)] = address
	return nil
}
